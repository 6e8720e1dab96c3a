"""The checker of ``make faults`` finds each thing that it is to find."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from callboard.db.rules.ids import new_id
from tests.faults import hostile, hostile_jobs, ledger
from tests.faults.checker import Accepted, AttemptRow, Evidence, Findings, JobRow, check
from tests.faults.ledger import Line, Mark
from tests.faults.mix import Kind, Mix

JOB = new_id()
OTHER = new_id()
SPEC = Mix(Random(1), Path("ledger")).of(Kind.SHORT)
ENDED = 100.0


def line(mark: Mark, attempt: int, at: float, pid: int = 1) -> Line:
    return Line(mark, JOB, attempt, pid, at)


def lost(attempt: int, at: float) -> AttemptRow:
    return AttemptRow(JOB, attempt, "failed", "worker_lost", at)


def won(attempt: int, at: float) -> AttemptRow:
    return AttemptRow(JOB, attempt, "succeeded", None, at)


def row(attempt: int = 1, **changes: Any) -> JobRow:
    return dataclasses.replace(JobRow(JOB, SPEC.number, "succeeded", attempt, result_attempt=attempt), **changes)


def run(attempt: int, start: float, end: float, pid: int = 1) -> list[Line]:
    return [
        line(Mark.START, attempt, start, pid),
        line(Mark.EFFECT, attempt, end - 0.1, pid),
        line(Mark.END, attempt, end, pid),
    ]


def evidence(**changes: Any) -> Evidence:
    """One job that ran once and succeeded, but for ``changes``."""
    good = Evidence(
        accepted=[Accepted(JOB, SPEC, 90.0)],
        live=[],
        history=[row()],
        attempts=[won(1, 96.0)],
        ledger=run(1, 95.0, 95.5),
        answers={JOB: "succeeded"},
        seen=[(JOB, "running")],
        deaths={},
        fault_ended=ENDED,
    )
    return dataclasses.replace(good, **changes)


def test_a_job_that_ran_once_is_fine() -> None:
    assert check(evidence()) == Findings(accepted=1)


@pytest.mark.parametrize(
    ("changes", "violation"),
    [
        pytest.param({"history": []}, "lost", id="in no table"),
        pytest.param({"answers": {JOB: None}}, "lost", id="unknown to the api"),
        pytest.param({"seen": [(JOB, None)]}, "lost", id="unknown to the api once"),
        pytest.param({"history": [], "live": [row(status="queued")]}, "stuck", id="still queued"),
        pytest.param({"history": [row(), row(status="failed")]}, "two outcomes", id="two records"),
        pytest.param({"live": [row(status="running")]}, "two outcomes", id="live and finished"),
        pytest.param({"answers": {JOB: "failed"}}, "two outcomes", id="the api says otherwise"),
        pytest.param({"seen": [(JOB, "cancelled")]}, "two outcomes", id="the api said otherwise"),
        pytest.param({"history": [row(status="failed", result_attempt=None)]}, "wrong", id="failed, not succeeded"),
        pytest.param({"history": [row(result_attempt=2)]}, "wrong", id="the result of another attempt"),
        pytest.param({"attempts": []}, "wrong", id="an attempt without a record"),
        pytest.param({"ledger": run(1, 95.0, 95.5)[::2]}, "wrong", id="a success without its effect"),
        pytest.param({"history": [row(scheduled_at=95.2)]}, "wrong", id="started before its time"),
        pytest.param(
            {"history": [row(), JobRow(OTHER, SPEC.number, "succeeded", 1)]}, "submitted twice", id="a second job"
        ),
        pytest.param(
            {"ledger": [*run(1, 95.0, 95.5), *run(1, 95.2, 95.8, pid=2)]}, "overlapped", id="one attempt twice"
        ),
        pytest.param(
            {
                "history": [row(2)],
                "attempts": [lost(1, 95.3), won(2, 96.0)],
                "ledger": [*run(1, 95.0, 95.5), *run(2, 95.2, 95.8, pid=2)],
            },
            "overlapped",
            id="an attempt that was taken away too late",
        ),
        pytest.param(
            {
                "history": [row(2)],
                "attempts": [won(1, 95.6), won(2, 96.5)],
                "ledger": [*run(1, 95.0, 95.5), *run(2, 96.0, 96.2)],
            },
            "doubled",
            id="an effect after a recorded success",
        ),
    ],
)
def test_what_must_not_be_is_found(changes: dict[str, Any], violation: str) -> None:
    assert violation in check(evidence(**changes)).violations


def test_a_progress_that_is_not_the_last_one_is_found() -> None:
    spec = Mix(Random(1), Path("ledger")).of(Kind.PROGRESS)
    accepted = [Accepted(JOB, spec, 90.0)]
    assert check(evidence(accepted=accepted, history=[row(progress=4.0)])).violations == {"wrong": 1}
    assert check(evidence(accepted=accepted, history=[row(progress=5.0)])).violations == {}


def test_an_effect_of_a_lost_attempt_may_be_repeated() -> None:
    """A killed process wrote no end; that of its second attempt is a second effect, as at-least-once allows."""
    killed = run(1, 95.0, 95.5)[:2]
    findings = check(
        evidence(
            history=[row(2)],
            attempts=[lost(1, 99.0), won(2, 101.0)],
            ledger=[*killed, *run(2, 100.5, 101.0, pid=2)],
            deaths={1: 95.6},
        )
    )
    assert (findings.violations, findings.repeated, findings.fenced) == ({}, 1, 0)
    assert findings.caught_up_after == pytest.approx(0.5)


def test_a_zombie_is_told_from_an_overlap() -> None:
    """Taken away at 99.0, run again at 99.5, while the first handler slept until 105."""
    findings = check(
        evidence(
            history=[row(2)],
            attempts=[lost(1, 99.0), won(2, 100.0)],
            ledger=[*run(1, 95.0, 105.0), *run(2, 99.5, 99.9, pid=2)],
        )
    )
    assert (findings.violations, findings.fenced) == ({}, 1)


def test_a_thread_that_hangs_beyond_its_time_is_told_from_an_overlap() -> None:
    findings = check(
        evidence(
            history=[row(2)],
            attempts=[AttemptRow(JOB, 1, "failed", "time_limit", 99.0), won(2, 100.0)],
            ledger=[*run(1, 95.0, 105.0), *run(2, 99.5, 99.9, pid=2)],
        )
    )
    assert (findings.violations, findings.fenced) == ({}, 1)


def test_a_handler_without_an_end_runs_until_its_process_dies() -> None:
    lines = [*run(1, 95.0, 96.0)[:2], *run(2, 99.5, 99.9, pid=2)]
    attempts = [lost(1, 99.0), won(2, 100.0)]
    alive = evidence(history=[row(2)], attempts=attempts, ledger=lines)
    assert check(alive).fenced == 1
    assert check(dataclasses.replace(alive, deaths={1: 96.5})).fenced == 0


def test_work_is_back_when_jobs_start_at_half_the_rate_again() -> None:
    """One submission a second for ten seconds; after the fault, starts come two seconds late."""
    accepted = [Accepted(new_id(), SPEC, 95.0 + second) for second in range(11)]
    starts = [Line(Mark.START, each.job_id, 1, 1, ENDED + 2 + number) for number, each in enumerate(accepted)]
    findings = check(evidence(accepted=accepted, ledger=starts, history=[], answers={}, seen=[]))
    assert findings.working_after == pytest.approx(2.0)


def test_a_hostile_job_that_ends_late_is_found() -> None:
    spec = Mix(Random(1), Path("ledger")).hostile("hangs", hostile.THREAD)
    accepted = [Accepted(JOB, spec, 90.0)]
    ended = [row(status="failed", result_attempt=None)]
    in_time, late = (AttemptRow(JOB, 1, "failed", "time_limit", at) for at in (99.0, 119.0))
    start = [line(Mark.START, 1, 95.0)]
    for attempt, violations in ((in_time, {}), (late, {"wrong": 1})):
        answers: dict[UUID, str | None] = {JOB: "failed"}
        found = check(
            evidence(accepted=accepted, history=ended, attempts=[attempt], ledger=start, answers=answers)
        ).violations
        assert found == violations


def test_every_way_to_be_hostile_has_a_handler() -> None:
    assert hostile_jobs.DEEDS.keys() == hostile.WAYS.keys()


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    assert list(ledger.read(path)) == []
    for mark in Mark:
        ledger.append(path, mark, JOB, 2)
    assert [(line.mark, line.job_id, line.attempt) for line in ledger.read(path)] == [(mark, JOB, 2) for mark in Mark]


def test_the_same_seed_draws_the_same_jobs() -> None:
    first, again, other = (Mix(Random(seed), Path("ledger")).several(50) for seed in (1, 1, 2))
    assert first == again
    assert [spec.kind for spec in first] != [spec.kind for spec in other]
    assert len({spec.number for spec in first}) == 50
