"""``callboard up``: how it ends, and what is left of it."""

from __future__ import annotations

import os
import resource
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.e2e.stage import Stage
from tests.e2e.system import Embedded
from tests.e2e.test_once import ledger_jobs, runs_in
from tests.support.until import until

pytestmark = pytest.mark.faults

#: Seconds: shutdown_grace, the interruption after it, and a busy machine.
BOUND = 20.0


@pytest.fixture
def up(stage: Stage) -> Embedded:
    system = stage.put_up(Embedded, shutdown_grace="1")
    system.start_up(threads=1)
    return system


def start_work(system: Embedded) -> tuple[str, list[str]]:
    """Have one job run and others wait behind it; the first never ends by itself in its first attempt."""
    running = system.api.submit("e2e.patient", {"attempt": 2})
    system.api.until(running, lambda job: job["status"] == "running")
    return running, system.api.submit_batch([{"type": "e2e.noop", "payload": {}} for _ in range(20)])


def test_kill_9_loses_nothing_and_leaves_nothing(up: Embedded) -> None:
    running, queued = start_work(up)
    later = up.api.submit("diagnostics.noop", delay=3600.0)
    assert len(up.family.members()) >= 3
    assert up.server_processes()
    up.up.kill()
    up.wait_until_gone(BOUND)
    up.start_up(threads=2)
    for job_id in queued:
        assert (job := up.api.wait(job_id))["status"] == "succeeded"
        assert job["attempt"] == 1
    job = up.api.wait(running)
    assert (job["status"], job["attempt"], job["result"]) == ("succeeded", 2, 2)
    assert up.api.job(later)["status"] == "scheduled"


def test_a_submission_waits_for_the_start(stage: Stage) -> None:
    """As when both commands are pasted: ``callboard up &`` and ``callboard submit``."""
    system = stage.put_up(Embedded)
    up = system.start("up", "callboard.cli", "up", "--port", str(system.port), "--threads", "1")
    submitted = system.run("submit", "diagnostics.noop", url=f"http://127.0.0.1:{system.port}")
    assert submitted.returncode == 0, submitted.stderr + up.log()
    assert "Waiting up to 30 seconds for it to start" in submitted.stderr
    assert system.api.wait(submitted.stdout.strip())["status"] == "succeeded"
    assert "serves on" in up.log()


def test_a_restart_right_after_kill_9(up: Embedded) -> None:
    """The children of the first are still about to end when the second starts."""
    running, queued = start_work(up)
    up.up.kill()
    up.start_up(threads=2)
    for job_id in [running, *queued]:
        assert up.api.wait(job_id)["status"] == "succeeded"
    assert len({row["id"] for row in up.history(running, *queued)}) == len(queued) + 1


def test_children_that_die_are_replaced(up: Embedded) -> None:
    running, queued = start_work(up)
    os.kill(child(up, "work"), signal.SIGKILL)
    job = up.api.wait(running)
    assert (job["status"], job["attempt"]) == ("succeeded", 2)
    queued.append(up.api.submit("diagnostics.sleep", {"seconds": 2}))
    os.kill(child(up, "api"), signal.SIGKILL)
    up.wait_until_ready(up.up)
    for job_id in queued:
        assert up.api.wait(job_id)["status"] == "succeeded"
    os.kill(up.postmaster, signal.SIGKILL)
    up.wait_until_ready(up.up)
    assert up.api.wait(up.api.submit("diagnostics.noop"))["status"] == "succeeded"
    assert up.api.job(running) == job


def test_its_work_process_is_replaced_after_so_many_jobs(stage: Stage, tmp_path: Path) -> None:
    up = stage.put_up(Embedded, worker_max_jobs="20")
    up.start_up(threads=2)
    ledger = tmp_path / "ledger"
    for job_id in up.api.submit_batch(ledger_jobs(ledger, 30)):
        assert (job := up.api.wait(job_id))["status"] == "succeeded"
        assert job["attempt"] == 1
    runs = runs_in(ledger)
    assert len(runs) == 30
    assert len({pid for _, _, pid in runs}) >= 2
    assert "process_died" not in up.up.log()


def test_a_full_disk_ends_nothing(up: Embedded) -> None:
    """The kernel refuses to write files of more than 1 MiB; PostgreSQL's log of changes has 16 MiB."""
    queued = up.api.submit("diagnostics.noop", delay=3600.0)
    resource.prlimit(up.up.pid, resource.RLIMIT_FSIZE, (2**20, resource.RLIM_INFINITY))
    os.kill(up.postmaster, signal.SIGKILL)
    until(lambda: up.up.log().count("postgres_does_not_start") >= 2)
    response = httpx.get(f"http://127.0.0.1:{up.port}/v1/jobs/{queued}")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    resource.prlimit(up.up.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    up.wait_until_ready(up.up)
    assert up.api.job(queued)["status"] == "scheduled"
    assert up.api.wait(up.api.submit("diagnostics.noop"))["status"] == "succeeded"


def child(system: Embedded, role: str) -> int:
    """Return the pid of one of its processes."""
    [pid] = [pid for pid, command in system.family.members().items() if f"processes.child {role}" in command]
    return pid


def test_it_stops_in_good_order(up: Embedded) -> None:
    running, queued = start_work(up)
    up.up.send(signal.SIGTERM)
    assert_it_has_stopped(up)
    up.start_up(threads=1)
    for job_id in [running, *queued]:
        assert up.api.wait(job_id)["status"] == "succeeded"
    outcomes = [(each["outcome"], each["error"]) for each in up.api.attempts(running)]
    assert outcomes == [("released", None), ("succeeded", None)]
    [row] = up.history(running)
    assert (row["attempt"], row["retries"]) == (2, 0)
    start_work(up)
    up.up.interrupt_group()
    assert_it_has_stopped(up)


def assert_it_has_stopped(up: Embedded) -> None:
    """It ends last, so nothing of it has to be waited for."""
    assert up.up.wait(BOUND) == 0
    assert up.family.members() == {}
    assert up.server_processes() == []
    with socket.create_server(("127.0.0.1", up.port)):
        pass
