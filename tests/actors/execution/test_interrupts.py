"""The interrupter: when the exception comes, and when it must not."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import pytest

from callboard.actors.execution.coroutines import CoroutineRunner
from callboard.actors.execution.interrupts import (
    CLEANUP_GRACE,
    COOPERATIVE_GRACE,
    Interrupter,
    Interruption,
    JobInterrupted,
)
from tests.support.until import until


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def enforced(interrupter: Interrupter) -> None:
    """Set the flag, wait until the time to read it is over, and enforce."""
    interrupter.interrupt(Interruption.CANCELLED)
    time.sleep(COOPERATIVE_GRACE + 0.05)
    interrupter.enforce()


def start(pool: ThreadPoolExecutor, handler: Any) -> tuple[Interrupter, Future[Any]]:
    made: SimpleQueue[Interrupter] = SimpleQueue()

    def run() -> Any:
        interrupter = Interrupter()
        made.put(interrupter)
        return interrupter.run(lambda: handler(interrupter))

    future = pool.submit(run)
    return made.get(), future


def spin_until(event: threading.Event) -> None:
    while not event.is_set():
        pass


def test_a_handler_that_never_reads_the_flag_is_stopped(pool: ThreadPoolExecutor) -> None:
    interrupter, ended = start(pool, lambda _: spin_until(threading.Event()))
    enforced(interrupter)

    with pytest.raises(JobInterrupted):
        ended.result(30)


def test_a_guarded_block_is_not_torn(pool: ThreadPoolExecutor) -> None:
    go_on, whole = threading.Event(), []

    def handler(interrupter: Interrupter) -> None:
        with interrupter.guarded(), interrupter.guarded():
            spin_until(go_on)
            whole.append(True)
        spin_until(threading.Event())

    interrupter, ended = start(pool, handler)
    enforced(interrupter)
    go_on.set()
    until(lambda: whole)

    def stopped() -> bool:
        interrupter.enforce()
        return ended.done()

    until(stopped)
    assert isinstance(ended.exception(), JobInterrupted)


@pytest.mark.parametrize("guarded", [False, True])
def test_a_handler_that_has_seen_the_flag_is_left_alone(pool: ThreadPoolExecutor, *, guarded: bool) -> None:
    seen, cleaned = threading.Event(), threading.Event()

    def poll_flag(interrupter: Interrupter) -> None:
        while True:
            interrupter.check()

    def handler(interrupter: Interrupter) -> str:
        try:
            if guarded:
                with interrupter.guarded():
                    poll_flag(interrupter)
            poll_flag(interrupter)
        except JobInterrupted:
            seen.set()
            spin_until(cleaned)
            with interrupter.guarded(), pytest.raises(JobInterrupted):
                interrupter.check()
        return "clean"

    interrupter, ended = start(pool, handler)
    interrupter.interrupt(Interruption.SHUTDOWN)
    assert seen.wait(30)
    enforced(interrupter)
    cleaned.set()
    assert ended.result(30) == "clean"


def test_another_thread_that_sees_the_flag_does_not_count(pool: ThreadPoolExecutor) -> None:
    interrupter, ended = start(pool, lambda _: spin_until(threading.Event()))
    interrupter.interrupt(Interruption.CANCELLED)
    with pytest.raises(JobInterrupted):
        interrupter.check()
    enforced(interrupter)

    with pytest.raises(JobInterrupted):
        ended.result(30)


@pytest.mark.parametrize("by_itself", [True, False])
def test_a_coroutine_that_has_seen_the_flag_is_left_alone(pool: ThreadPoolExecutor, *, by_itself: bool) -> None:
    """One that only sees it in another task is cancelled."""
    coroutines = CoroutineRunner()
    seen, cleaned = threading.Event(), threading.Event()

    async def poll_flag(interrupter: Interrupter) -> None:
        try:
            while True:
                interrupter.check()
                await asyncio.sleep(0.001)
        except JobInterrupted:
            seen.set()
            await asyncio.to_thread(cleaned.wait)

    async def handler(interrupter: Interrupter) -> str:
        await (poll_flag(interrupter) if by_itself else asyncio.create_task(poll_flag(interrupter)))
        return "clean"

    interrupter, ended = start(pool, lambda interrupter: coroutines.run(handler(interrupter), interrupter))
    interrupter.interrupt(Interruption.SHUTDOWN)
    assert seen.wait(30)
    enforced(interrupter)
    if not by_itself:
        assert isinstance(ended.exception(30), JobInterrupted)
    cleaned.set()
    assert by_itself is (ended.exception(30) is None)
    coroutines.stop()


def test_a_handler_is_overdue_after_its_grace() -> None:
    interrupter = Interrupter()
    assert not interrupter.overdue
    interrupter.interrupt(Interruption.CANCELLED)
    assert not interrupter.overdue
    interrupter._requested_at -= CLEANUP_GRACE
    assert interrupter.overdue
