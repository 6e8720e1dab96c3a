"""Worker processes: how they are started, stopped, lost and found."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta

import pytest

from tests.e2e.stage import Stage
from tests.e2e.system import SETTINGS, Distributed, Embedded
from tests.services.rabbitmq import RabbitmqServer, fresh_vhost
from tests.support.databases import Databases
from tests.support.servers import ALL

pytestmark = pytest.mark.faults

LEASE_TTL = float(SETTINGS["lease_ttl"])


def test_a_worker_that_stops_lets_its_job_end(workerless: Distributed) -> None:
    api = workerless.api
    worker = workerless.start_worker("--threads", "1")
    running = api.submit("diagnostics.sleep", {"seconds": 1.5})
    waiting = api.submit("diagnostics.noop")
    api.until(running, lambda job: job["status"] == "running")
    assert worker.stop() == 0
    job = api.job(running)
    assert (job["status"], job["attempt"], job["progress"]["percent"]) == ("succeeded", 1, 100.0)
    assert api.job(waiting)["status"] == "queued"
    assert [row["state"] for row in workerless.rows("SELECT state FROM workers")] == ["stopped"]
    workerless.start_worker("--threads", "1", name="next")
    assert api.wait(waiting)["attempt"] == 1


def test_a_job_that_does_not_end_in_time_is_released(workerless: Distributed) -> None:
    api = workerless.api
    worker = workerless.start_worker("--threads", "1", shutdown_grace="0.5")
    job_id = api.submit("e2e.patient", {"attempt": 2}, max_retries=0)
    api.until(job_id, lambda job: job["status"] == "running")
    asked = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - asked < 10
    workerless.start_worker("--threads", "1", name="next")
    job = api.wait(job_id)
    assert (job["status"], job["attempt"], job["result"]) == ("succeeded", 2, 2)
    [row] = workerless.history(job_id)
    assert row["retries"] == 0
    assert [each["outcome"] for each in api.attempts(job_id)] == ["released", "succeeded"]


def test_a_job_that_cannot_be_interrupted_does_not_hold_up_the_stop(workerless: Distributed) -> None:
    api = workerless.api
    worker = workerless.start_worker("--threads", "1", shutdown_grace="0.5")
    job_id = api.submit("e2e.stubborn", {"attempt": 2})
    api.until(job_id, lambda job: job["status"] == "running")
    asked = time.monotonic()
    worker.stop()
    assert time.monotonic() - asked < 15
    workerless.start_worker("--threads", "1", name="next")
    job = api.wait(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 2)


def test_the_jobs_of_a_machine_that_dies_are_rescued(workerless: Distributed) -> None:
    """Supervisor and worker end at once: nothing reports the death, and the lease decides."""
    api = workerless.api
    worker = workerless.start_worker("--threads", "4")
    ids = [api.submit("e2e.patient", {"attempt": 2}) for _ in range(4)]
    for job_id in ids:
        api.until(job_id, lambda job: job["status"] == "running")
    [lost] = workerless.wait_for_workers()
    [child] = worker.children()
    os.kill(worker.pid, signal.SIGSTOP)  # it must not see its child die
    os.kill(child, signal.SIGKILL)
    died = time.monotonic()
    worker.kill()
    workerless.start_worker("--threads", "4", name="next")
    for job_id in ids:
        job = api.wait(job_id, timeout=LEASE_TTL + 10)
        assert (job["status"], job["attempt"]) == ("succeeded", 2)
        first, second = workerless.rows("SELECT * FROM job_attempts WHERE job_id = %s ORDER BY attempt", job_id)
        assert (first["outcome"], first["reason"], first["worker_id"]) == ("failed", "worker_lost", lost["id"])
        assert second["started_at"] >= first["finished_at"] > lost["last_seen_at"] + timedelta(seconds=LEASE_TTL)
    assert time.monotonic() - died < LEASE_TTL + 10


def test_a_worker_that_was_frozen_changes_nothing_when_it_wakes_up(workerless: Distributed) -> None:
    api = workerless.api
    frozen = workerless.start_worker("--threads", "1", "--name", "frozen")
    job_id = api.submit("e2e.patient", {"attempt": 2})
    api.until(job_id, lambda job: job["status"] == "running")
    [child] = frozen.children()
    os.kill(child, signal.SIGSTOP)
    try:
        workerless.start_worker("--threads", "1", "--name", "other", name="other")
        assert api.wait(job_id, timeout=LEASE_TTL + 10)["status"] == "succeeded"
        before = workerless.history(job_id)
    finally:
        os.kill(child, signal.SIGCONT)
    # It notices, and goes on under another id.
    workerless.wait_for_rows("SELECT id FROM workers WHERE name = 'frozen' AND state = 'running'")
    assert workerless.processes["other"].stop() == 0
    again = api.wait(api.submit("diagnostics.noop"))
    assert (again["status"], again["worker"]) == ("succeeded", "frozen")
    assert workerless.history(job_id) == before
    workers = workerless.rows("SELECT worker, outcome FROM job_attempts WHERE job_id = %s ORDER BY attempt", job_id)
    assert [(each["worker"], each["outcome"]) for each in workers] == [("frozen", "failed"), ("other", "succeeded")]


def test_burst_ends_when_nothing_is_due(workerless: Distributed) -> None:
    api = workerless.api
    ids = [api.submit("diagnostics.noop") for _ in range(20)]
    failing = api.submit("diagnostics.fail", max_retries=0)
    later = api.submit("diagnostics.noop", delay=3600.0)
    worker = workerless.start_worker("--burst", "--threads", "4")
    assert worker.wait(60) == 0
    assert {api.job(job_id)["status"] for job_id in ids} == {"succeeded"}
    assert api.job(failing)["status"] == "failed"
    assert api.job(later)["status"] == "scheduled"
    api.cancel(later)


def test_burst_with_nothing_to_do(workerless: Distributed) -> None:
    assert workerless.start_worker("--burst", "--processes", "2").wait(60) == 0


def test_a_worker_of_some_queues_leaves_the_others_alone(workerless: Distributed) -> None:
    api = workerless.api
    elsewhere = api.submit("diagnostics.noop")
    here = api.submit("e2e.noop")
    worker = workerless.start_worker("--queues", "e2e", "--burst")
    assert worker.wait(60) == 0
    assert (api.job(here)["status"], api.job(elsewhere)["status"]) == ("succeeded", "queued")
    api.cancel(elsewhere)


@pytest.mark.parametrize("module", ["callboard.actors.worker", "actors.worker"])
def test_dramatiq_starts_the_same_worker(workerless: Distributed, module: str) -> None:
    """The second name works in a checkout alone."""
    api = workerless.api
    worker = workerless.start("dramatiq", "dramatiq", module, "--processes", "1", "--threads", "2")
    done = api.submit("diagnostics.echo", {"value": "through Dramatiq's command"})
    assert api.wait(done)["result"] == {"value": "through Dramatiq's command"}
    running = api.submit("diagnostics.sleep", {"seconds": 1.5})
    api.until(running, lambda job: job["status"] == "running")
    assert worker.stop() == 0
    assert (api.job(running)["status"], api.job(running)["attempt"]) == ("succeeded", 1)
    assert [row["state"] for row in workerless.rows("SELECT state FROM workers")] == ["stopped"]


def test_up_on_a_given_database_and_quorum_queues(
    stage: Stage, databases: Databases, rabbitmq_server: RabbitmqServer
) -> None:
    database_url = stage.stack.enter_context(databases.fresh(ALL[-1]))
    amqp_url = stage.stack.enter_context(fresh_vhost(rabbitmq_server))
    system = stage.put_up(Embedded, database_url=database_url, amqp_url=amqp_url, queue_type="quorum")
    system.start_up()
    ids = system.api.submit_batch([{"type": "diagnostics.noop", "payload": {}} for _ in range(100)])
    ids.append(system.api.submit("diagnostics.fail", {"succeed_on_attempt": 2}))
    assert {system.api.wait(job_id)["status"] for job_id in ids} == {"succeeded"}
    queues = f'rabbit_amqqueue:list(<<"{amqp_url.rpartition("/")[2]}">>)'
    assert "quorum" in rabbitmq_server.evaluate(f"[amqqueue:get_type(Q) || Q <- {queues}]")
    assert system.server_processes() == []
