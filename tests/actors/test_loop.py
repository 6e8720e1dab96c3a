"""A duty that fails is soon tried again, however seldom it is otherwise done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from callboard.actors.loop import Loop
from callboard.db.errors import Unavailable
from tests.support.until import until


@contextmanager
def started(loop: Loop) -> Iterator[Loop]:
    loop.start()
    try:
        yield loop
    finally:
        loop.stop()


def test_what_a_wake_up_asked_for_is_done_soon_after_a_failure() -> None:
    calls: list[float] = []
    done = threading.Event()

    def duty() -> None:
        calls.append(time.monotonic())
        if len(calls) == 2:
            raise Unavailable("A connection that the server had closed.")
        if len(calls) == 3:
            done.set()

    with started(Loop("test", duty, interval=600)) as loop:
        until(lambda: calls)
        loop.wake()
        assert done.wait(10), "the duty waits for its interval of ten minutes"


def test_pauses_grow_while_the_duty_fails() -> None:
    calls: list[float] = []
    done = threading.Event()

    def duty() -> None:
        calls.append(time.monotonic())
        if len(calls) == 5:
            done.set()
        raise RuntimeError

    with started(Loop("test", duty, interval=0.01, longest_pause=0.4)):
        assert done.wait(10)
    pauses = [later - sooner for sooner, later in pairwise(calls)]
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.4), strict=True)), pauses


def test_the_last_call_is_in_its_thread() -> None:
    threads: list[threading.Thread] = []

    def note() -> None:
        threads.append(threading.current_thread())

    with started(Loop("test", note, interval=600, at_end=note)):
        until(lambda: threads)
    duty, end = threads
    assert end is duty
