"""Handlers in processes of their own."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from callboard.actors.execution.interrupts import Interruption
from callboard.actors.execution.isolation.errors import HandlerProcessDied
from callboard.actors.execution.isolation.process import HandlerProcess
from callboard.actors.execution.process_state import ProcessState
from callboard.db.attempt.checkpoints import read_step
from callboard.db.files.outputs import list_outputs
from callboard.db.files.rows import File, insert_file
from callboard.db.rules.attempts import AttemptId
from callboard.db.rules.ids import new_id
from callboard.db.settings import Settings
from tests.actors.execution.conftest import Bench
from tests.support.until import until

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[3]
# Promised are five seconds; a machine that runs many tests at once is not in order.
HANG_ENDS_WITHIN = timedelta(seconds=8)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_process_runs_one_attempt_after_the_other(bench: Bench) -> None:
    first = bench.run("isolated.echo", {"text": "one"})
    second = bench.run("isolated.echo", {"text": "two"})

    assert first["result"]["pid"] == second["result"]["pid"] != os.getpid()
    assert (first["result"]["text"], first["result"]["main"], first["result"]["seen"]) == ("one", True, ["one"])
    assert second["result"]["seen"] == ["one", "two"]
    assert (first["status"], first["progress"]["current"], first["progress"]["message"]) == ("succeeded", 2, "whole")

    assert bench.run("isolated.async", 0.01)["result"] == 0.01
    assert bench.run("isolated.add", {"args": [20], "kwargs": {"second": 22}})["result"] == 42
    assert bench.run("isolated.multiply", {"first": 6, "second": 7})["result"] == [42, second["result"]["pid"]]
    assert bench.run("isolated.echo", {"text": 5})["error"]["reason"] == "invalid_payload"


def test_what_a_handler_raises_there_counts_as_here(bench: Bench) -> None:
    strange = bench.run("isolated.raise", "strange", max_retries=0)
    assert strange["error"] == {"reason": "exception", "type": "Strange", "message": "this and that", "attempt": 1}
    [attempt] = bench.record(strange["id"]).attempts
    assert "isolated_jobs.py" in attempt["traceback"]

    assert bench.run("isolated.raise", "throws")["status"] == "failed"
    later = bench.run("isolated.raise", "retry")
    assert later["status"] == "retrying"
    assert later["due_at"] - later["created_at"] > timedelta(seconds=50)
    ended = bench.run("isolated.raise", "exit")
    assert (ended["status"], ended["error"]["type"]) == ("retrying", "SystemExit")


@pytest.mark.parametrize(
    ("how", "message", "note"),
    [
        ("segfault", "SIGSEGV", "in die"),
        ("exit", "code 7", ""),
        ("kill", "SIGKILL: its own or somebody's", ""),
        ("close", "no longer answered", ""),
    ],
)
def test_a_process_that_dies_is_an_error_of_its_attempt(bench: Bench, how: str, message: str, note: str) -> None:
    row = bench.run("isolated.die", how)

    assert (row["status"], row["retries"], row["error"]["type"]) == ("retrying", 1, "HandlerProcessDied")
    assert message in row["error"]["message"]
    [attempt] = bench.record(row["id"]).attempts
    assert note in attempt["traceback"]


def test_a_process_that_died_while_idle_is_not_missed(bench: Bench) -> None:
    idle = bench.run("isolated.echo", {"text": "before"})["result"]["pid"]
    os.kill(idle, signal.SIGKILL)
    after = bench.run("isolated.echo", {"text": "after"})

    assert (after["status"], after["attempt"]) == ("succeeded", 1)
    assert after["result"]["pid"] != idle


def test_too_much_memory(bench: Bench) -> None:
    assert bench.run("isolated.eat", 20)["result"] == 20
    row = bench.run("isolated.eat", 500, max_retries=0)

    assert (row["status"], row["error"]["type"]) == ("failed", "MemoryLimitExceeded")
    assert "limit is 160 MiB" in row["error"]["message"]


def test_too_much_memory_for_a_moment(bench: Bench) -> None:
    """Also where the worker's threads leave its watch no time, and the process has run others before."""
    small = [bench.submit("isolated.gulp", 20) for _ in range(4)]
    large = [bench.submit("isolated.gulp", 500, max_retries=0) for _ in range(8)]
    busy = [bench.submit("hostile.spin", 4.0) for _ in range(2)]
    for ended in [bench.start(job_id) for job_id in (*small, *busy, *large)]:
        ended.result(120)

    assert {bench.row(job_id)["status"] for job_id in (*small, *busy)} == {"succeeded"}
    rows = [bench.row(job_id) for job_id in large]
    assert {(row["status"], row["error"]["type"]) for row in rows} == {("failed", "MemoryLimitExceeded")}


def test_a_file_that_is_mapped_is_no_memory(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(500 << 20))
    assert [bench.run("isolated.scan", str(path))["result"] for _ in range(3)] == [0, 0, 0]


def test_a_handler_that_hangs_is_killed_with_all_that_it_has_started(bench: Bench, tmp_path: Path) -> None:
    job_id = bench.submit("isolated.hang", str(tmp_path))
    ended = bench.start(job_id)
    until((tmp_path / "handler").exists)
    bench.cancel(job_id)
    ended.result(60)

    row = bench.row(job_id)
    assert (row["status"], row["error"]["reason"]) == ("cancelled", "cancelled")
    assert row["finished_at"] - row["cancel_requested_at"] < HANG_ENDS_WITHIN
    pids = [int(pid) for name in ("handler", "daemon") for pid in (tmp_path / name).read_text().split()]
    assert len(pids) == 4
    assert [pid for pid in pids if lives(pid)] == []
    [attempt] = bench.record(job_id).attempts
    assert "in hang" in attempt["traceback"], "where it was"
    assert bench.running.replacement is None


def test_a_handler_that_does_not_stop_is_killed(bench: Bench, tmp_path: Path) -> None:
    """At its time limit; and after a lost lease, where it is released if it was not fenced out."""
    late = bench.submit("isolated.stubborn", str(tmp_path / "late"), time_limit=0.5, max_retries=0)
    lost = bench.submit("isolated.stubborn", str(tmp_path / "lost"))
    ends = [bench.start(late), bench.start(lost)]
    until((tmp_path / "lost").exists)
    bench.running.handlers()[AttemptId(lost, 1)].interrupter.interrupt(Interruption.LEASE_LOST)
    for end in ends:
        end.result(60)

    row = bench.row(late)
    assert (row["status"], row["error"]["reason"]) == ("failed", "time_limit")
    assert bench.row(lost)["status"] == "queued"
    assert [attempt["outcome"] for attempt in bench.record(lost).attempts] == ["released"]


def test_a_handler_that_is_interrupted_saves_a_checkpoint(bench: Bench, tmp_path: Path) -> None:
    job_id = bench.submit("isolated.spin", str(tmp_path / "spins"))
    for attempt in (1, 2):
        (tmp_path / "spins").unlink(missing_ok=True)
        ended = bench.start(job_id, attempt)
        until((tmp_path / "spins").exists)
        bench.running.interrupt_all(Interruption.SHUTDOWN)
        ended.result(60)

    assert (bench.row(job_id)["status"], bench.row(job_id)["retries"]) == ("queued", 0)
    assert [attempt["outcome"] for attempt in bench.record(job_id).attempts] == ["released", "released"]


def test_what_a_handler_leaves_behind(bench: Bench) -> None:
    in_directory = bench.run("isolated.leave", "directory")["result"]
    with_thread = bench.run("isolated.leave", "thread")["result"]
    with_process = bench.run("isolated.leave", "process")["result"]
    last = bench.run("isolated.multiply", {"first": 1, "second": 1})["result"][1]

    assert in_directory == with_thread, "used again, where it began"
    assert len({with_thread, with_process, last}) == 3
    assert not lives(with_thread)
    assert not lives(with_process)


def test_files_come_and_go(bench: Bench) -> None:
    content = b"some text\n"
    file_id = new_id()
    stored = bench.storage.put(file_id, [content])
    with bench.database.begin() as connection:
        insert_file(connection, File(file_id, "owner", "in.txt", stored.size, stored.sha256, "text/plain"))
    row = bench.run("isolated.files", str(file_id))

    with bench.database.begin() as connection:
        outputs = list_outputs(connection, row["id"], limit=9)
    assert [str(output["id"]) for output in outputs] == row["result"]
    assert [(output["name"], output["sha256"]) for output in outputs] == [
        ("copy.txt", hashlib.sha256(content).digest()),
        ("file", hashlib.sha256(content.upper()).digest()),
        ("thrice.txt", hashlib.sha256(content * 3).digest()),
    ]
    missing = bench.run("isolated.missing", str(uuid4()))
    assert missing["error"]["type"] == "NotFound"


def test_a_step_is_done_once(bench: Bench, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    job_id = bench.submit("isolated.once", str(ledger))
    bench.start(job_id).result(60)
    with bench.database.begin() as connection:
        assert read_step(connection, job_id, 1, "charge") is None, "that attempt has ended"
    bench.make_due(job_id)
    bench.start(job_id, 2).result(60)

    assert bench.row(job_id)["result"] == ["receipt", {"attempt": 1}]
    [token] = ledger.read_text().split()
    assert UUID(token).version == 5


def test_nothing_outlives_a_worker_that_is_killed(tmp_path: Path) -> None:
    code = """
import os, sys, time
from datetime import UTC, datetime
from uuid import uuid4
from callboard.actors.execution.isolation.process import HandlerProcess
from callboard.actors.execution.process_state import ProcessState
from callboard.db.settings import Settings
from callboard.db.transitions import ClaimedJob
process = HandlerProcess(Settings(job_modules=("isolated_jobs",)), ProcessState())
process.load()
now = datetime.now(UTC)
payload = '"' + sys.argv[1] + '"'
process.start(ClaimedJob(uuid4(), 1, now, "isolated.hang", "isolated", "owner", payload, 5, 0, 3, 60.0, now, now), None)
time.sleep(60)
"""
    path = os.pathsep.join([str(ROOT), str(Path(__file__).with_name("modules"))])
    worker = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env={"PYTHONPATH": path}, cwd=tmp_path)
    try:
        until((tmp_path / "handler").exists)
    finally:
        worker.kill()
        worker.wait()

    pids = [int(pid) for name in ("handler", "daemon") for pid in (tmp_path / name).read_text().split()]
    until(lambda: not any(map(lives, pids)))


def test_a_process_that_cannot_start_says_why() -> None:
    with pytest.raises(HandlerProcessDied, match="no_such_module"):
        HandlerProcess(Settings(job_modules=("no_such_module",)), ProcessState()).load()
