"""The end, the replacement and the probes of a worker process."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pika
import pytest

from callboard.actors.broker.amqp import amqp_name
from tests.e2e.system import Distributed
from tests.e2e.test_once import ledger_jobs, runs_in
from tests.support.ports import free_port
from tests.support.until import until

pytestmark = pytest.mark.faults

#: Seconds that nothing here takes, unless it waits for ever.
LONG = 60.0
#: Seconds that a process may hang; on a busy machine it has not waited so long for its turn.
HANG_TIMEOUT = "5"


def test_a_second_signal_hurries(workerless: Distributed) -> None:
    api = workerless.api
    worker = workerless.start_worker("--threads", "1", shutdown_grace="3600")
    job_id = api.submit("e2e.patient", {"attempt": 2}, max_retries=0)
    api.until(job_id, lambda job: job["status"] == "running")
    worker.send(signal.SIGTERM)
    workerless.wait_for_rows("SELECT 1 FROM workers WHERE state = 'draining'")
    [row] = api.workers()
    assert row["state"] == "draining"
    assert api.job(job_id)["status"] == "running"
    assert worker.stop() == 0
    workerless.start_worker("--threads", "1", name="next")
    assert (job := api.wait(job_id))["status"] == "succeeded"
    assert job["result"] == 2
    assert [each["outcome"] for each in api.attempts(job_id)] == ["released", "succeeded"]


def test_a_worker_that_drains_leaves_jobs_to_others(workerless: Distributed, tmp_path: Path) -> None:
    """Room becomes free in it while its last job runs; messages sent there would wait for that job."""
    api = workerless.api
    draining = workerless.start_worker("--threads", "8", "--name", "draining", shutdown_grace="3600")
    gate = tmp_path / "gate"
    last = api.submit("e2e.gate", {"path": str(gate)})
    api.until(last, lambda job: job["status"] == "running")
    draining.send(signal.SIGTERM)
    workerless.wait_for_rows("SELECT 1 FROM workers WHERE state = 'draining'")
    workerless.start_worker("--threads", "1", "--name", "other", name="other")
    while api.wait(api.submit("e2e.noop"))["worker"] == "draining":
        pass  # the signal has arrived, and the cancel of the consumer not yet
    for _ in range(10):
        assert api.wait(api.submit("e2e.noop"))["worker"] == "other"
    gate.touch()
    assert draining.wait(LONG) == 0
    assert (job := api.job(last))["status"] == "succeeded"
    assert (job["worker"], job["attempt"]) == ("draining", 1)


def test_a_restart_under_load_repeats_nothing(workerless: Distributed, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    worker = workerless.start_worker("--threads", "4")
    workerless.wait_for_workers(1)
    ids = workerless.api.submit_batch(ledger_jobs(ledger, 500))
    assert worker.stop() == 0
    workerless.start_worker("--threads", "4")
    workerless.wait_until_none_live()
    assert sorted(job_id for job_id, _, _ in runs_in(ledger)) == sorted(ids)
    assert workerless.rows("SELECT DISTINCT attempt, outcome FROM job_attempts") == [
        {"attempt": 1, "outcome": "succeeded"}
    ]


def test_processes_are_replaced_after_so_many_jobs(workerless: Distributed, tmp_path: Path) -> None:
    api = workerless.api
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    worker = workerless.start_worker("--threads", "2", "--max-jobs-per-process", "20")
    slow = api.submit("e2e.gate", {"path": str(gate)})
    api.until(slow, lambda job: job["status"] == "running")
    [first] = worker.children()
    beside = api.submit_batch(ledger_jobs(ledger, 30))
    workerless.wait_for_rows("SELECT 1 FROM workers WHERE state = 'draining'")
    assert api.job(slow)["status"] == "running"  # its process waits for it, longer than for a shutdown
    gate.touch()
    for job_id in [slow, *beside, *api.submit_batch(ledger_jobs(ledger, 30))]:
        assert (job := api.wait(job_id))["status"] == "succeeded"
        assert job["attempt"] == 1
    pids = [int(pid) for _, _, pid in runs_in(ledger)]
    assert len(pids) == 60
    assert first in pids
    assert len(set(pids)) >= 3
    assert workerless.rows("SELECT 1 FROM job_attempts WHERE outcome <> 'succeeded'") == []
    assert "process_died" not in worker.log()


def test_a_process_that_has_grown_too_large_is_replaced(workerless: Distributed) -> None:
    api = workerless.api
    worker = workerless.start_worker("--threads", "2", "--max-memory", "300")
    small = api.wait(api.submit("e2e.pid"))["result"]
    grown = api.wait(api.submit("e2e.leak", {"bytes": 300 * 2**20}))
    assert (grown["status"], grown["result"], grown["attempt"]) == ("succeeded", small, 1)
    # It may have been given one more job before it stopped taking any.
    workerless.wait_for_rows("SELECT 1 FROM workers WHERE pid = %s AND state = 'stopped'", small)
    after = api.wait(api.submit("e2e.pid"))
    assert after["result"] != small
    assert after["attempt"] == 1
    assert "process_died" not in worker.log()


def test_a_process_with_a_dead_thread_is_replaced(workerless: Distributed) -> None:
    api = workerless.api
    worker = workerless.start_worker("--threads", "2")
    for victim in ("WorkerThread", "ConsumerThread", "heartbeat"):
        job = api.wait(api.submit("e2e.kill_thread", {"thread": victim}), timeout=LONG)
        assert job["status"] == "succeeded", victim
        deadline = time.monotonic() + LONG
        while api.wait(api.submit("e2e.pid"), timeout=LONG)["result"] == job["result"]:
            assert time.monotonic() < deadline, f"still there without {victim}"
    assert worker.log().count("process_defect") == 3
    assert worker.running


def test_a_process_that_stands_still_is_replaced(workerless: Distributed) -> None:
    """Suspended, or C code holds Python's lock: neither heartbeat nor interrupter runs, nor any check."""
    api = workerless.api
    worker = workerless.start_worker("--threads", "2", hang_timeout=HANG_TIMEOUT)
    before = worker.log()
    suspended = api.submit("e2e.patient", {"attempt": 2})
    api.until(suspended, lambda job: job["status"] == "running")
    [first] = worker.children()
    os.kill(first, signal.SIGSTOP)
    assert (job := api.wait(suspended, timeout=LONG))["status"] == "succeeded"
    assert job["attempt"] == 2

    holding = api.wait(api.submit("e2e.hold_lock", {"attempt": 2}), timeout=LONG)
    assert (holding["status"], holding["attempt"]) == ("succeeded", 2)
    assert holding["result"] != first
    log = worker.log().removeprefix(before)
    assert log.count("process_hangs") == 2
    assert "in hold_lock" in log, "where it hung"


def test_a_process_whose_supervisor_was_suspended_as_well_is_left_alone(
    workerless: Distributed, tmp_path: Path
) -> None:
    """A container is paused, and goes on in any order."""
    api = workerless.api
    worker = workerless.start_worker("--threads", "2", hang_timeout=HANG_TIMEOUT, lease_ttl="60")
    gate = tmp_path / "gate"
    job_id = api.submit("e2e.gate", {"path": str(gate)})
    api.until(job_id, lambda job: job["status"] == "running")
    [child] = worker.children()
    os.kill(worker.pid, signal.SIGSTOP)
    os.kill(child, signal.SIGSTOP)
    time.sleep(float(HANG_TIMEOUT) + 1)
    os.kill(worker.pid, signal.SIGCONT)
    time.sleep(0.5)  # the supervisor reads the watchdog, and finds nothing
    os.kill(child, signal.SIGCONT)
    gate.touch()
    assert api.wait(job_id, timeout=LONG)["status"] == "succeeded"
    assert worker.children() == [child]


def test_a_process_that_does_not_end_is_replaced(workerless: Distributed) -> None:
    """Its handler has left a thread for which Python waits at its end."""
    api = workerless.api
    worker = workerless.start_worker("--threads", "1", "--max-jobs-per-process", "1", hang_timeout=HANG_TIMEOUT)
    left = api.wait(api.submit("e2e.leave_thread"))["result"]
    assert api.wait(api.submit("e2e.pid"), timeout=LONG)["result"] != left
    assert f'"pid":{left},"seconds":' in worker.log()


def probe(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def until_probed(port: int, path: str, condition: Callable[[int, str], bool]) -> None:
    """Wait until status and text of a probe fulfil the condition."""
    until(lambda: condition(*probe(port, path)), what=path, within=LONG, every=0.05)


def test_a_worker_that_rabbitmq_refuses_is_alive_but_not_ready(workerless: Distributed) -> None:
    """Hazard 7: its consumer declares the queue again and again, and the process seems healthy from outside."""
    port = free_port()
    amqp_url = workerless.settings["amqp_url"]
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        channel = connection.channel()
        channel.queue_delete(amqp_name("e2e"))
        channel.queue_declare(amqp_name("e2e"))
        worker = workerless.start_worker("--processes", "2", "--threads", "1", "--metrics-port", str(port))
        until_probed(port, "/readyz", lambda status, text: status == 503 and text == "Not consumed: e2e.\n")
        assert probe(port, "/livez") == (200, "ok\n")
        channel.queue_delete(amqp_name("e2e"))
    until_probed(port, "/readyz", lambda status, _: status == 200)
    os.kill(worker.children()[0], signal.SIGKILL)
    until_probed(port, "/readyz", lambda status, text: status == 503 and text.startswith("1 of 2 worker processes"))
    assert probe(port, "/livez")[0] == 200
    until_probed(port, "/readyz", lambda status, _: status == 200)


@pytest.mark.timeout(240)
def test_a_dispatcher_without_a_broker_is_alive(workerless: Distributed) -> None:
    port, nowhere = free_port(), free_port()
    dispatcher = workerless.start(
        "lonely dispatcher", "callboard.cli", "dispatcher", "--metrics-port", str(port),
        amqp_url=f"amqp://guest:guest@127.0.0.1:{nowhere}/", database_url=workerless.database_url,
    )  # fmt: skip
    waiting = workerless.api.submit("e2e.noop", delay=3600.0)
    until_probed(port, "/livez", lambda status, _: status == 200)
    workerless.api.cancel(waiting)
    assert dispatcher.stop() == 0
