"""Handlers that hang: killed in processes of their own, given up in threads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.system import Distributed, System, wait_for

pytestmark = pytest.mark.faults


def test_a_process_that_hangs_is_killed(system: System, tmp_path: Path) -> None:
    hanging = tmp_path / "hanging"
    job_id = system.api.submit("e2e.hang_isolated", {"path": str(hanging)})
    wait_for(hanging)
    system.api.cancel(job_id)
    job = system.api.wait(job_id)
    assert (job["status"], job["error"]["reason"], job["attempt"]) == ("cancelled", "cancelled", 1), job["error"]


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

    [child] = worker.children()
    waiting = api.submit("e2e.noop")
    assert (api.job(beside)["status"], api.job(waiting)["status"]) == ("running", "queued")
    gate.touch()
    assert api.wait(beside)["attempt"] == 1
    assert api.wait(waiting)["status"] == "succeeded"
    assert worker.children() != [child]
    ran_on = workerless.rows("SELECT worker_id FROM job_history WHERE id = ANY(%s::uuid[])", [hanging, waiting])
    assert ran_on[0] != ran_on[1]
