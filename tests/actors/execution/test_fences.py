"""What a handler does to its process stays its own: event loop, directory, environment, copies, streams."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.actors.execution.conftest import Bench
from tests.actors.execution.modules import hostile_jobs
from tests.support.until import until

pytestmark = pytest.mark.faults

#: The exit code of a copy, by what it does.
EXIT_CODES = {"returns": 0, "raises": 1, "exits": 3, "checkpoints": 1, "attaches": 1}


@pytest.mark.parametrize("how", hostile_jobs.LEAVING)
def test_a_coroutine_leaves_the_event_loop_alone(bench: Bench, tmp_path: Path, how: str) -> None:
    """One that waits beside it goes on, and the next one finds a loop."""
    beside = bench.submit("hostile.wait", {"folder": str(tmp_path)})
    ended = bench.start(beside)
    until((tmp_path / "started").exists)
    row = bench.run("hostile.leave", how, max_retries=0)
    (tmp_path / "end").touch()
    ended.result(60)

    assert (row["status"], row["error"]["reason"]) == ("failed", "exception")
    assert (bench.row(beside)["status"], bench.row(beside)["attempt"]) == ("succeeded", 1)
    assert bench.run("isolated.async", 0.01)["status"] == "succeeded"


def test_a_coroutine_that_cancels_all_tasks_leaves_none_without_an_outcome(bench: Bench, tmp_path: Path) -> None:
    beside = bench.submit("hostile.wait", {"folder": str(tmp_path)})
    ended = bench.start(beside)
    until((tmp_path / "started").exists)
    row = bench.run("hostile.cancel_all", None)
    ended.result(60)

    assert (row["status"], bench.row(beside)["status"]) == ("retrying", "retrying")
    assert bench.run("isolated.async", 0.01)["status"] == "succeeded"


def test_a_coroutine_that_blocks_the_loop_ends_alone(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Those beside it are run again, and never go on in the old loop."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    beside = bench.submit("hostile.wait", {"folder": str(tmp_path)})
    beside_ended = bench.start(beside)
    until((tmp_path / "started").exists)
    blocking = bench.submit("hostile.block", str(pipe), time_limit=1.0, max_retries=0)
    blocking_ended = bench.start(blocking)
    beside_ended.result(60)
    assert (tmp_path / "cleaned").exists(), "before it may run again"
    row = bench.wait_until_done(blocking)

    assert (row["status"], row["error"]["reason"]) == ("failed", "time_limit")
    assert (bench.row(beside)["status"], bench.row(beside)["retries"]) == ("queued", 0)
    assert [attempt["outcome"] for attempt in bench.record(beside).attempts] == ["released"]
    assert bench.run("isolated.async", 0.01)["status"] == "succeeded", "in a new loop"
    assert "hostile.block" in (bench.running.replacement or "")

    (tmp_path / "end").touch()
    os.close(os.open(pipe, os.O_WRONLY))
    blocking_ended.result(60)
    assert not (tmp_path / "effects").exists()
    bench.start(beside, 2).result(60)
    assert bench.row(beside)["status"] == "succeeded"
    assert (tmp_path / "effects").read_text().split() == [str(os.getpid())]


@pytest.mark.parametrize("what", hostile_jobs.CHANGES)
def test_what_a_handler_changes_in_a_thread_does_not_reach_the_next(bench: Bench, what: str) -> None:
    _check_state(bench, "hostile.state", what)


@pytest.mark.parametrize("what", hostile_jobs.CHANGES_OF_PROCESSES)
def test_what_a_handler_changes_in_a_process_does_not_reach_the_next(bench: Bench, what: str) -> None:
    _check_state(bench, "hostile.state_isolated", what)


def _check_state(bench: Bench, job_type: str, what: str) -> None:
    before = bench.run(job_type, {"what": what, "change": False})
    changed = bench.run(job_type, {"what": what, "change": True})
    after = bench.run(job_type, {"what": what, "change": False})

    assert [row["status"] for row in (before, changed, after)] == ["succeeded"] * 3
    assert before["result"] == after["result"]


def test_a_process_begins_where_its_worker_did(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever handlers in threads do meanwhile."""
    expected = bench.run("hostile.state_isolated", {"what": "working directory", "change": False})["result"]
    bench.run("isolated.leave", "thread")  # the next one gets a new process
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOSTILE", "yes")
    tmp_path.rmdir()

    assert bench.run("hostile.state_isolated", {"what": "working directory", "change": False})["result"] == expected
    assert bench.run("hostile.state_isolated", {"what": "os.environ", "change": False})["result"] == "None"


@pytest.mark.parametrize("child", EXIT_CODES)
@pytest.mark.parametrize("job_type", ["hostile.fork", "hostile.fork_isolated", "hostile.fork_async"])
def test_a_copy_of_the_process_ends_with_the_handler(bench: Bench, tmp_path: Path, job_type: str, child: str) -> None:
    """One that waits beside a coroutine runs on in the original alone."""
    ledger = tmp_path / "ledger"
    beside = bench.submit("hostile.wait", {"folder": str(tmp_path)})
    beside_ended = bench.start(beside)
    until((tmp_path / "started").exists)
    row = bench.run(job_type, {"ledger": str(ledger), "child": child})
    (tmp_path / "end").touch()
    beside_ended.result(60)

    assert (row["status"], row["result"]) == ("succeeded", "parent")
    copy, exit_code = map(int, ledger.read_text().split())
    assert exit_code == EXIT_CODES[child]
    assert not Path(f"/proc/{copy}").exists()
    assert (tmp_path / "effects").read_text().split() == [str(os.getpid())]
    assert len(bench.record(row["id"]).attempts) == 1
    with bench.database.begin() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
