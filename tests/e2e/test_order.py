"""What starts when: priorities, schedules, expiry."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.client import Job
from tests.e2e.stage import Stage
from tests.e2e.system import Distributed, Embedded, System, ids_of

SOON = timedelta(seconds=0.5)
ALL_SENT = "SELECT 1 WHERE NOT EXISTS (SELECT FROM jobs WHERE dispatched_at IS NULL)"


@pytest.fixture(params=["embedded", "rabbitmq"])
def one_thread(request: pytest.FixtureRequest, stage: Stage) -> System:
    """A system that runs one job at a time."""
    if request.param == "embedded":
        embedded = stage.put_up(Embedded)
        embedded.start_up(threads=1)
        return embedded
    workerless: Distributed = request.getfixturevalue("workerless")
    workerless.start_worker("--threads", "1")
    return workerless


def mixed_jobs() -> list[Job]:
    """Return 30 jobs, three of each priority."""
    priorities = [priority for priority in range(10) for _ in range(3)]
    random.shuffle(priorities)
    return [{"payload": {}, "priority": priority} for priority in priorities]


def assert_they_ran_in_order(system: System, jobs: list[Job], ids: list[str]) -> None:
    """Highest priority first, then first in, first out."""
    assert {system.api.wait(job_id)["status"] for job_id in ids} == {"succeeded"}
    expected = sorted(range(len(ids)), key=lambda index: (-jobs[index]["priority"], index))
    started = [ids.index(job_id) for job_id in ids_of(system.history(*ids))]
    assert [(jobs[index]["priority"], index) for index in started] == [
        (jobs[index]["priority"], index) for index in expected
    ]


def test_priority_then_age(one_thread: System, tmp_path: Path) -> None:
    api = one_thread.api
    api.wait(api.submit("diagnostics.noop"))  # its worker is ready

    in_a_batch = mixed_jobs()
    ids = api.submit_batch([{"type": "diagnostics.noop", **job} for job in in_a_batch])
    assert_they_ran_in_order(one_thread, in_a_batch, ids)

    gate = tmp_path / "gate"
    busy = api.submit("e2e.gate", {"path": str(gate)})
    api.until(busy, lambda job: job["status"] == "running")
    while_busy = mixed_jobs()
    ids = [api.submit("e2e.noop", **job) for job in while_busy]
    one_thread.wait_for_rows(ALL_SENT)
    gate.touch()
    assert_they_ran_in_order(one_thread, while_busy, ids)


def test_priority_of_a_backlog(workerless: Distributed) -> None:
    """Jobs wait in PostgreSQL and in RabbitMQ, for there is no worker; half of them are sent before the others."""
    jobs = mixed_jobs()
    ids = workerless.api.submit_batch([{"type": "diagnostics.noop", **job} for job in jobs[:15]])
    workerless.wait_for_rows(ALL_SENT)
    ids += workerless.api.submit_batch([{"type": "diagnostics.noop", **job} for job in jobs[15:]])
    workerless.wait_for_rows(ALL_SENT)
    workerless.start_worker("--threads", "1")
    assert_they_ran_in_order(workerless, jobs, ids)


@pytest.mark.parametrize("as_a_delay", [True, False])
def test_a_scheduled_job_starts_when_it_is_due(system: System, as_a_delay: bool) -> None:
    api = system.api
    api.wait(api.submit("diagnostics.noop"))
    due = datetime.now(UTC) + timedelta(seconds=2)
    when = {"delay": 2.0} if as_a_delay else {"scheduled_at": due.isoformat()}
    job_id = api.submit("diagnostics.noop", **when)
    assert api.job(job_id)["status"] == "scheduled"
    assert api.wait(job_id)["status"] == "succeeded"
    [row] = system.history(job_id)
    assert timedelta(0) <= row["started_at"] - row["scheduled_at"] < SOON
    assert abs(row["scheduled_at"] - due) < (SOON if as_a_delay else timedelta(milliseconds=1))


def test_a_job_scheduled_within_the_poll_interval_is_not_late(system: System) -> None:
    """The dispatcher has gone to sleep before it hears of a job that is due before it would wake up."""
    api = system.api
    api.wait(api.submit("diagnostics.noop"))
    for delay in (0.1, 0.3):
        job_id = api.submit("diagnostics.noop", delay=delay)
        api.wait(job_id)
        [row] = system.history(job_id)
        assert timedelta(0) <= row["started_at"] - row["scheduled_at"] < SOON


def test_a_rate_spreads_the_starts(system: System) -> None:
    api = system.api
    api.limit_queue("diagnostics", rate_limit=40, rate_period=8)  # 5 a second
    try:
        job_ids = api.submit_batch([{"type": "diagnostics.noop", "payload": {}}] * 30)
        for job_id in job_ids:
            api.wait(job_id)
    finally:
        api.limit_queue("diagnostics", rate_limit=None)
    starts = sorted(row["started_at"] for job_id in job_ids for row in system.history(job_id))
    # A full bucket lets 5 go at once, so the last is sent 5 s after them. The rate is that of sending: on a busy
    # machine, the first may take a while to start.
    assert starts[-1] - starts[0] > timedelta(seconds=3.75)


@pytest.mark.parametrize("wait", ["scheduled", "queued"])
def test_a_job_that_has_not_started_in_time_expires(system: System, wait: str) -> None:
    api = system.api
    deadline = datetime.now(UTC) + timedelta(seconds=1)
    if wait == "scheduled":
        job_id = api.submit("diagnostics.noop", delay=3600.0, expires_at=deadline.isoformat())
    else:
        api.pause_queue("e2e.closed")
        job_id = api.submit("e2e.closed", expires_at=deadline.isoformat())
    assert api.job(job_id)["status"] == wait
    job = api.wait(job_id)
    assert (job["status"], job["error"]["reason"], job["attempt"]) == ("expired", "expired", 0)
    assert api.attempts(job_id) == []
    [row] = system.history(job_id)
    assert row["started_at"] is None
    assert timedelta(0) <= row["finished_at"] - row["expires_at"] < timedelta(seconds=2)


def test_a_long_poll_answers_as_soon_as_the_job_is_done(system: System) -> None:
    api = system.api
    api.wait(api.submit("diagnostics.noop"))
    job_id = api.submit("diagnostics.hang", {"seconds": 1})
    api.wait(job_id)
    answered = time.time()
    [row] = system.history(job_id)
    assert answered - row["finished_at"].timestamp() < SOON.total_seconds()
