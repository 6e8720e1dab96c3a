"""How soon a job stops, by the database's clock, with the settings that are the default: docs/define-a-job.md."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from callboard.db.settings import Settings
from tests.e2e.system import Distributed, wait_for

pytestmark = pytest.mark.faults

#: A machine that runs many tests at once may be late, but never early: the best of so many tries counts.
TRIES = 4
RUNNING_STOPS_WITHIN = timedelta(seconds=1)
HANGING_STOPS_WITHIN = timedelta(seconds=5)
FOR_EVER = {"seconds": 60}


def test_a_job_that_waits_is_cancelled_in_the_answer(workerless: Distributed) -> None:
    for delay in (0.0, 3600.0):
        job_id = workerless.api.submit("e2e.noop", delay=delay)
        assert workerless.api.cancel(job_id)["status"] == "cancelled"


@pytest.fixture
def system(workerless: Distributed) -> Distributed:
    return with_worker(workerless)


def with_worker(workerless: Distributed, **settings: str) -> Distributed:
    default = Settings.model_fields["stop_check_interval"].default
    workerless.start_worker("--threads", "2", stop_check_interval=str(default), **settings)
    workerless.wait_for_workers()
    return workerless


def stops_within(bound: timedelta, stop: Callable[[], timedelta]) -> None:
    tries: list[timedelta] = []
    while not tries or min(tries) > bound:
        assert len(tries) < TRIES, tries
        tries.append(stop())


def cancelled(system: Distributed, job_id: str) -> timedelta:
    """Cancel a job that runs; return what it took it to end."""
    system.api.cancel(job_id)
    assert system.api.wait(job_id)["error"]["reason"] == "cancelled"
    [row] = system.history(job_id)
    took: timedelta = row["finished_at"] - row["cancel_requested_at"]
    return took


def cancelled_soon(system: Distributed, job_type: str, payload: Any) -> timedelta:
    """Cancel a job as soon as it runs."""
    job_id = system.api.submit(job_type, payload)
    system.api.until(job_id, lambda job: job["status"] == "running")
    return cancelled(system, job_id)


def over_its_limit(system: Distributed, job_type: str, payload: Any) -> timedelta:
    """Let a job run longer than it may; return by how much."""
    limit = 0.5
    job_id = system.api.submit(job_type, payload, max_retries=0, time_limit=limit)
    assert system.api.wait(job_id)["error"]["reason"] == "time_limit"
    [row] = system.history(job_id)
    took: timedelta = row["finished_at"] - row["started_at"] - timedelta(seconds=limit)
    return took


def test_a_job_that_runs(system: Distributed) -> None:
    for job_type, payload, bound in (
        ("e2e.patient", {"attempt": 2}, RUNNING_STOPS_WITHIN),
        ("e2e.async", [60], RUNNING_STOPS_WITHIN),
        ("diagnostics.spin", FOR_EVER, RUNNING_STOPS_WITHIN),
        ("diagnostics.hang", FOR_EVER, HANGING_STOPS_WITHIN),
    ):
        stops_within(bound, partial(cancelled_soon, system, job_type, payload))
        stops_within(bound, partial(over_its_limit, system, job_type, payload))


def test_a_job_whose_own_process_is_starting(workerless: Distributed) -> None:
    system = with_worker(workerless, job_modules="e2e_jobs,e2e_harm,e2e_slow")
    stops_within(RUNNING_STOPS_WITHIN, partial(cancelled_soon, system, "diagnostics.hang_isolated", FOR_EVER))


def test_a_job_that_hangs_in_a_process_of_its_own(system: Distributed, tmp_path: Path) -> None:
    pids: list[int] = []

    def cancelled_when_it_hangs() -> timedelta:
        hanging = tmp_path / f"hanging-{len(pids)}"
        job_id = system.api.submit("e2e.hang_isolated", {"path": str(hanging)})
        wait_for(hanging)
        pids.extend(map(int, hanging.read_text().split()))
        return cancelled(system, job_id)

    stops_within(HANGING_STOPS_WITHIN, cancelled_when_it_hangs)
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == [], "of the handler, or of its child"
