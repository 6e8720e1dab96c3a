from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from callboard.cli.display.progress import describe
from callboard.cli.display.views import JobList, details, outcome
from callboard.client import Attempt, Job

PROGRESS = {
    "percent": 45.0, "current": 45.0, "total": 100.0, "step": None, "message": None,
    "updated_at": "2026-01-02T03:04:07.000Z",
}  # fmt: skip
MakeJob = Callable[..., Job]


@pytest.fixture
def make_job(job: Callable[..., dict[str, Any]]) -> MakeJob:
    return lambda *status, **changes: Job.model_validate(job(*status, **changes))


def shown(value: RenderableType, width: int) -> str:
    console = Console(record=True, width=width, highlight=False, markup=False, file=io.StringIO())
    console.print(value)
    text = console.export_text()
    assert all(cell_len(line) <= width for line in text.splitlines())
    return text


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (40, ["running 45%", "table.analyze"]),
        (80, ["running 45%", "table.analyze", "age"]),
        (90, ["running 45%", "table.analyze", "age"]),
        (120, ["running 45%", "took", "attempt"]),
        (160, ["running 45%", "owner", "local", "tables"]),
    ],
)
def test_a_list_shows_whole_ids_at_every_width(make_job: MakeJob, width: int, words: list[str]) -> None:
    long = "a.very.long.name.of.something.that.goes.on"
    jobs = [make_job(progress=PROGRESS), make_job("succeeded", type=long, queue=long, owner=long)]
    jobs[1].created_at = datetime.now(UTC) - timedelta(days=1234, hours=23)
    text = shown(JobList(jobs), width)
    assert text.count(str(jobs[0].id)) == 2
    assert all(word in text for word in words)


@pytest.mark.parametrize("width", [40, 120])
def test_details_tell_attempts_payload_and_result(make_job: MakeJob, width: int) -> None:
    finished = make_job("succeeded", attempt=2, tags={"case": "123"}, payload={"file": "f-1"}, result={"rows": 50_000})
    error = {"reason": "exception", "type": "ValueError", "message": "no such sheet", "attempt": 1}
    attempts = [
        {"attempt": 1, "outcome": "failed", "worker": "host-1.4711", "started_at": finished.started_at,
         "finished_at": finished.finished_at, "error": error},
        {"attempt": 2, "outcome": "succeeded", "worker": "host-1.4711", "started_at": finished.started_at,
         "finished_at": finished.finished_at, "error": None},
    ]  # fmt: skip
    text = shown(details(finished, [Attempt.model_validate(attempt) for attempt in attempts]), width)
    for words in ("case=123", "2.5 s", "ValueError", '"file": "f-1"', "50,000"):
        assert words in text


@pytest.mark.parametrize("status", ["blocked", "scheduled", "queued", "running", "retrying"])
def test_details_of_a_job_that_is_not_done(make_job: MakeJob, status: str) -> None:
    waiting = make_job(status, scheduled_at="2030-01-02T03:04:05.000Z", worker=None, started_at=None)
    assert status in shown(details(waiting, []), 80)


def test_details_say_what_a_job_waits_for(make_job: MakeJob) -> None:
    waiting_for = {"kind": "worker", "type": "report.build", "since": "2030-01-02T03:04:05.000Z", "tries": 3}
    waiting = make_job("blocked", waiting_for=waiting_for, started_at=None)
    assert "a worker that knows report.build" in shown(details(waiting, []), 120)
    assert describe(waiting) == "for a worker that knows report.build"


def test_the_outcome_of_a_failed_job_is_its_error(make_job: MakeJob) -> None:
    error = {"reason": "exception", "type": "ValueError", "message": "no such sheet", "attempt": 4}
    assert (
        shown(outcome(make_job("failed", error=error)), 80).strip() == "failed: ValueError: no such sheet (exception)"
    )
    assert shown(outcome(make_job("cancelled")), 80).strip() == "cancelled"
    lost = {"reason": "worker_lost", "type": "", "message": "unseen for 30 s", "attempt": 4}
    assert shown(outcome(make_job("failed", error=lost)), 80).strip() == "failed: worker_lost: unseen for 30 s"
