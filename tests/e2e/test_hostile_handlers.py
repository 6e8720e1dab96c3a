"""What handlers in threads close and leave behind."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.system import Distributed, System, wait_for
from tests.support.until import until

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("what", ["sys.stdout", "sys.stderr", "descriptors"])
def test_a_handler_closes_what_everybody_writes_to(system: System, what: str) -> None:
    """The next jobs on its thread and in processes of their own run, in the same worker."""
    pid = system.api.wait(system.api.submit("e2e.close", what))["result"]
    following = [system.api.submit("e2e.pid", {}) for _ in range(8)]
    failing = system.api.submit("e2e.add", {"args": [20, -1]})  # which is a line in the worker's log
    isolated = system.api.submit("diagnostics.hang_isolated", {"seconds": 0.01})

    jobs = [system.api.wait(job_id) for job_id in (*following, isolated)]
    assert {(job["status"], job["attempt"]) for job in jobs} == {("succeeded", 1)}
    assert {job["result"] for job in jobs[:-1]} == {pid}
    failed = system.api.wait(failing)
    assert (failed["attempt"], failed["error"]["type"]) == (2, "ArithmeticError")


@pytest.mark.parametrize("end", ["stopped", "process killed", "supervisor killed", "both killed"])
def test_what_a_handler_leaves_behind_ends_with_the_worker(workerless: Distributed, tmp_path: Path, end: str) -> None:
    left = tmp_path / "left"
    worker = workerless.start_worker("--threads", "2")
    job_id = workerless.api.submit("e2e.fork", {"path": str(left)})
    wait_for(left)
    copy, child = map(int, left.read_text().split())
    assert workerless.api.wait(job_id)["status"] == "succeeded"
    assert {copy, child} <= set(workerless.family.members())
    [process] = worker.children()

    match end:
        case "stopped":
            worker.stop()
        case "process killed":
            os.kill(process, signal.SIGKILL)
        case "supervisor killed":
            worker.kill()
        case "both killed":
            worker.send(signal.SIGSTOP)
            os.kill(process, signal.SIGKILL)
            worker.kill()
            # A program that a handler has started is the kernel's to end, which has no means for that.
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    until(lambda: not {copy, child} & set(workerless.family.members()))
