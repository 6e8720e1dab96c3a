"""Handlers in threads of the worker that do not stop, or stop with care."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from callboard.actors.execution.interrupts import Interruption
from callboard.db.models import jobs
from callboard.db.rules.attempts import AttemptId
from tests.actors.execution.conftest import Bench
from tests.support.until import until

# Promised are five seconds; a machine that runs many tests at once is not in order.
HANG_ENDS_WITHIN = timedelta(seconds=8)


def test_a_hanging_handler_is_given_up(bench: Bench, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    cancelled = bench.submit("thread.hang", str(pipe))
    late = bench.submit("thread.hang", str(pipe), time_limit=0.5, max_retries=0)
    released = bench.submit("thread.hang", str(pipe))
    ends = [bench.start(job_id) for job_id in (cancelled, late, released)]
    until(lambda: len(bench.running.handlers()) == 3)
    bench.cancel(cancelled)
    bench.running.handlers()[AttemptId(released, 1)].interrupter.interrupt(Interruption.SHUTDOWN)

    rows = [bench.wait_until_done(job_id) for job_id in (cancelled, late)]
    assert [(row["status"], row["error"]["reason"]) for row in rows] == [
        ("cancelled", "cancelled"),
        ("failed", "time_limit"),
    ]
    assert rows[0]["finished_at"] - rows[0]["cancel_requested_at"] < HANG_ENDS_WITHIN
    assert rows[1]["finished_at"] - rows[1]["started_at"] < HANG_ENDS_WITHIN
    until(lambda: bench.row(released)["status"] == "queued")
    until(lambda: not bench.running)
    assert "thread.hang" in (bench.running.replacement or "")
    assert not any(end.done() for end in ends)

    os.close(os.open(pipe, os.O_WRONLY))
    for end in ends:
        end.result(60)
    assert [bench.row(job_id) for job_id in (cancelled, late)] == rows
    assert bench.row(released)["status"] == "queued"


def test_a_thread_does_not_wait_for_the_record(bench: Bench, tmp_path: Path) -> None:
    """It takes the next job meanwhile. The attempt is held, and so in the worker's care, until it is recorded."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    job_id = bench.submit("thread.hang", str(pipe))
    ended = bench.run_only(job_id)
    until(lambda: len(bench.running.handlers()) == 1)
    with bench.database.begin() as connection:
        connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
        os.close(os.open(pipe, os.O_WRONLY))
        ended.result(60)
        assert bench.running.held() == [(job_id, 1)]
        assert bench.row(job_id)["status"] == "running"

    assert bench.wait_until_done(job_id)["status"] == "succeeded"
    until(lambda: not bench.running)


def test_handlers_stop_when_the_lease_is_over(bench: Bench, tmp_path: Path) -> None:
    """The database may say nothing about it. Who still has the attempt hands it back."""
    job_id = bench.submit("thread.checkpoint", str(tmp_path / "works"))
    ended = bench.start(job_id)
    until((tmp_path / "works").exists)
    bench.lease_over = True
    try:
        ended.result(60)
    finally:
        bench.lease_over = False
    until(lambda: bench.row(job_id)["status"] == "queued")
    assert [attempt["outcome"] for attempt in bench.record(job_id).attempts] == ["released"]


def test_a_handler_that_saw_the_flag_cleans_up_undisturbed(bench: Bench, tmp_path: Path) -> None:
    job_id = bench.submit("thread.checkpoint", str(tmp_path / "works"))
    ended = bench.start(job_id)
    until((tmp_path / "works").exists)
    bench.running.interrupt_all(Interruption.SHUTDOWN)
    ended.result(60)
    assert bench.row(job_id)["status"] == "queued"
    bench.start(job_id, 2).result(60)

    assert (bench.row(job_id)["status"], bench.row(job_id)["result"]) == ("succeeded", {"at": 42})
