"""Every diagnostics type, from an HTTP request to its history row, on both brokers."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.system import SETTINGS, System

TEXT = "Grüße, 京都市 🎭 \u202e\\\"'\t\n"


@pytest.mark.parametrize(
    "value",
    [
        None,
        TEXT,
        {TEXT: [1, -2.5, 1e-300, True, None, {}, []], "": 2**62},
        pytest.param([TEXT * 100] * 250, id="large"),
    ],
)
def test_echo(system: System, value: Any) -> None:
    job_id = system.api.submit("diagnostics.echo", {"value": value}, tags={"case": TEXT.strip()})
    job = system.api.wait(job_id)
    assert (job["status"], job["attempt"], job["error"]) == ("succeeded", 1, None)
    assert job["result"] == system.api.result(job_id) == {"value": value}
    [row] = system.history(job_id)
    assert row["payload"] == row["result"] == {"value": value}
    assert (row["status"], row["queue"], row["tags"]) == ("succeeded", "diagnostics", {"case": TEXT.strip()})
    assert row["created_at"] <= row["started_at"] <= row["finished_at"]
    assert system.rows("SELECT id FROM jobs WHERE id = %s", job_id) == []


def test_noop(system: System) -> None:
    job = system.api.wait(system.api.submit("diagnostics.noop"))
    assert (job["status"], job["result"]) == ("succeeded", None)


def test_sleep_reports_its_progress(system: System) -> None:
    job_id = system.api.submit("diagnostics.sleep", {"seconds": 1.5, "steps": 10})
    half = system.api.until(job_id, lambda job: bool(job["progress"]) and job["progress"]["percent"] >= 40)
    assert not half["done"]
    assert half["progress"]["message"] == f"Step {half['progress']['current'] + 1:.0f} of 10"
    done = system.api.wait(job_id)
    assert (done["status"], done["progress"]["percent"]) == ("succeeded", 100.0)
    rows = system.rows("SELECT * FROM job_progress WHERE job_id = %s ORDER BY seq", job_id)
    reported = [row["current"] for row in rows]
    assert reported == sorted(set(reported))
    assert len(rows) >= 4
    assert (rows[-1]["current"], rows[-1]["total"], rows[-1]["message"]) == (10, 10, "Slept")


def test_fail_for_good(system: System) -> None:
    job_id = system.api.submit("diagnostics.fail", {"message": f"no such sheet: {TEXT}"}, max_retries=1)
    job = system.api.wait(job_id)
    assert (job["status"], job["attempt"], job["result"]) == ("failed", 2, None)
    message = f"no such sheet: {TEXT}"
    assert job["error"] == {"reason": "exception", "type": "DiagnosedFailure", "message": message, "attempt": 2}
    attempts = system.api.attempts(job_id)
    assert [(each["attempt"], each["outcome"]) for each in attempts] == [(1, "failed"), (2, "failed")]
    assert all("DiagnosedFailure" in each["traceback"] for each in attempts)
    [row] = system.history(job_id)
    assert (row["status"], row["retries"], row["error"]) == ("failed", 1, job["error"])


def test_a_retried_job_waits_for_its_backoff(system: System) -> None:
    job_id = system.api.submit("diagnostics.fail", {"succeed_on_attempt": 3})
    waiting = system.api.until(job_id, lambda job: job["status"] == "retrying")
    assert waiting["next_attempt_at"] is not None
    assert waiting["error"]["reason"] == "exception"
    job = system.api.wait(job_id)
    assert (job["status"], job["attempt"], job["result"], job["error"]) == ("succeeded", 3, {"attempt": 3}, None)
    outcomes = [(each["attempt"], each["outcome"]) for each in system.api.attempts(job_id)]
    assert outcomes == [(1, "failed"), (2, "failed"), (3, "succeeded")]
    rows = system.rows("SELECT * FROM job_attempts WHERE job_id = %s ORDER BY attempt", job_id)
    pauses = [(later["started_at"] - earlier["finished_at"]).total_seconds() for earlier, later in pairwise(rows)]
    # min_backoff is 1 s and doubles; some time to notice, dispatch and claim.
    assert 1.0 <= pauses[0] < 1.0 + 0.8
    assert 1.0 <= pauses[1] < 2.0 + 0.8


def test_spin_over_its_time_limit(system: System) -> None:
    job_id = system.api.submit("diagnostics.spin", {"seconds": 60}, time_limit=0.5, max_retries=0)
    job = system.api.wait(job_id)
    assert (job["status"], job["error"]["reason"], job["attempt"]) == ("failed", "time_limit", 1)
    [row] = system.history(job_id)
    assert timedelta(seconds=0.5) <= row["finished_at"] - row["started_at"] < timedelta(seconds=2.5)


def test_spin_cancelled(system: System) -> None:
    job_id = system.api.submit("diagnostics.spin", {"seconds": 60})
    system.api.until(job_id, lambda job: job["status"] == "running")
    asked = time.monotonic()
    assert system.api.cancel(job_id)["cancel_requested_at"] is not None
    job = system.api.wait(job_id)
    assert time.monotonic() - asked < 2
    assert (job["status"], job["error"]["reason"], job["attempt"]) == ("cancelled", "cancelled", 1)
    assert [each["outcome"] for each in system.api.attempts(job_id)] == ["cancelled"]
    assert system.api.cancel(job_id)["status"] == "cancelled"


def test_hang_that_ends(system: System) -> None:
    job_id = system.api.submit("diagnostics.hang", {"seconds": 1})
    job = system.api.wait(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1)


def test_crash_finishes_on_its_second_attempt(system: System) -> None:
    bystander = system.api.submit("e2e.patient", {"attempt": 2})
    system.api.until(bystander, lambda job: job["status"] == "running")
    job_id = system.api.submit("diagnostics.crash")
    for each in (job_id, bystander):
        job = system.api.wait(each, timeout=float(SETTINGS["lease_ttl"]) + 10)
        assert (job["status"], job["attempt"]) == ("succeeded", 2)
    first, second = system.api.attempts(job_id)
    assert (first["outcome"], first["error"]["reason"]) == ("failed", "worker_lost")
    assert (second["outcome"], second["error"]) == ("succeeded", None)
    assert system.api.result(job_id) == {"attempt": 2}


def test_a_waiting_job_is_cancelled_at_once(system: System) -> None:
    job_id = system.api.submit("diagnostics.noop", delay=3600)
    assert system.api.cancel(job_id)["status"] == "cancelled"
    [row] = system.history(job_id)
    assert (row["status"], row["attempt"], row["started_at"]) == ("cancelled", 0, None)
    assert system.api.attempts(job_id) == []
