"""Handlers that hang: killed in processes of their own, given up in threads."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.e2e.system import Distributed, System

# Promised are five seconds; a machine that runs many tests at once is not in order.
HANG_ENDS_WITHIN = timedelta(seconds=9)


def test_a_process_that_hangs_is_killed(system: System) -> None:
    job_id = system.api.submit("diagnostics.hang_isolated", {"seconds": 60})
    system.api.until(job_id, lambda job: job["status"] == "running")
    system.api.cancel(job_id)
    job = system.api.wait(job_id)
    assert (job["status"], job["error"]["reason"], job["attempt"]) == ("cancelled", "cancelled", 1), job["error"]
    [row] = system.history(job_id)
    assert row["finished_at"] - row["cancel_requested_at"] < HANG_ENDS_WITHIN


def test_a_worker_with_a_hanging_thread_is_replaced_when_its_other_jobs_are_done(
    workerless: Distributed, tmp_path: Path
) -> None:
    api = workerless.api
    gate = tmp_path / "gate"
    worker = workerless.start_worker("--threads", "2")
    beside = api.submit("e2e.gate", {"path": str(gate)})
    hanging = api.submit("e2e.stubborn", {"attempt": 2}, time_limit=0.5, max_retries=0)
    job = api.wait(hanging)
    assert (job["status"], job["error"]["reason"]) == ("failed", "time_limit")
    [row] = workerless.history(hanging)
    assert row["finished_at"] - row["started_at"] < HANG_ENDS_WITHIN

    [child] = worker.children()
    waiting = api.submit("e2e.noop")
    assert (api.job(beside)["status"], api.job(waiting)["status"]) == ("running", "queued")
    gate.touch()
    assert api.wait(beside)["attempt"] == 1
    assert api.wait(waiting)["status"] == "succeeded"
    assert worker.children() != [child]
    ran_on = workerless.rows("SELECT worker_id FROM job_history WHERE id = ANY(%s::uuid[])", [hanging, waiting])
    assert ran_on[0] != ran_on[1]
