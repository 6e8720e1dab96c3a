"""The group commit by itself: batches, results, errors and retries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DataError

from callboard.db.errors import Unavailable
from callboard.db.sql.group_commit import Batcher

WAIT = 10.0


@contextmanager
def batcher(
    write: Callable[[Sequence[int]], Sequence[int]], *, max_size: int = 500, retry_for: float = 5.0
) -> Iterator[Batcher[int, int]]:
    made: Batcher[int, int] = Batcher("test", write, max_size=max_size, retry_for=retry_for)
    try:
        yield made
    finally:
        made.close()


class Gate:
    """A writer that holds its first batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Event()
        self.go = threading.Event()

    def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(items))
        self.entered.set()
        assert self.go.wait(WAIT)
        return [-item for item in items]


def bad_row() -> DataError:
    return DataError("INSERT", {}, Exception("bad row"))


def test_what_comes_while_a_batch_is_written_makes_the_next_one() -> None:
    gate = Gate()
    with batcher(gate) as made:
        first = made.submit(1)
        assert gate.entered.wait(WAIT)
        others = [made.submit(item) for item in range(2, 6)]
        gate.go.set()

        assert [future.result(WAIT) for future in (first, *others)] == [-1, -2, -3, -4, -5]
    assert gate.batches == [[1], [2, 3, 4, 5]]


def test_a_batch_has_a_largest_size_and_keeps_the_order() -> None:
    gate = Gate()
    with batcher(gate, max_size=3) as made:
        made.submit(0)
        assert gate.entered.wait(WAIT)
        last = [made.submit(item) for item in range(1, 8)][-1]
        gate.go.set()
        last.result(WAIT)
    assert gate.batches == [[0], [1, 2, 3], [4, 5, 6], [7]]


@given(st.sets(st.integers(0, 39)), st.sampled_from([bad_row(), ValueError("bad"), TypeError("bad")]))
def test_bad_rows_fail_alone(bad: set[int], error: Exception) -> None:
    written: list[int] = []
    gate = threading.Event()

    def write(items: Sequence[int]) -> Sequence[int]:
        gate.wait(WAIT)
        if bad & set(items):
            raise error
        written.extend(items)
        return items

    with batcher(write) as made:
        futures = {item: made.submit(item) for item in range(40)}
        gate.set()
        failed = {item for item, future in futures.items() if future.exception(WAIT) is error}

    assert failed == bad
    assert written == [item for item in range(40) if item not in bad]


def test_an_unexpected_error_reaches_all_callers_and_the_next_batch_is_written() -> None:
    def write(items: Sequence[int]) -> Sequence[int]:
        if 1 in items:
            raise RuntimeError("a mistake")
        return items

    with batcher(write) as made:
        with pytest.raises(RuntimeError, match="a mistake"):
            made.submit(1).result(WAIT)
        assert made.submit(2).result(WAIT) == 2


def test_a_batch_is_tried_again_while_the_database_is_away() -> None:
    tries: list[int] = []

    def write(items: Sequence[int]) -> Sequence[int]:
        tries.append(len(items))
        if len(tries) < 4:
            raise Unavailable("away")
        return items

    with batcher(write) as made:
        assert made.submit(1).result(WAIT) == 1
    assert tries == [1, 1, 1, 1]


def test_what_may_have_been_committed_is_written_as_such() -> None:
    calls: list[str] = []

    def write(items: Sequence[int]) -> Sequence[int]:
        calls.append("write")
        raise Unavailable("the response to COMMIT is lost")

    def rewrite(items: Sequence[int]) -> Sequence[int]:
        calls.append("rewrite")
        if len(calls) < 3:
            raise Unavailable("away")
        return items

    made = Batcher("test", write, rewrite=rewrite)
    assert made.submit(1).result(WAIT) == 1
    made.close()
    assert calls == ["write", "rewrite", "rewrite"]


def test_retries_end() -> None:
    def write(items: Sequence[int]) -> Sequence[int]:
        raise Unavailable("away")

    with batcher(write, retry_for=0) as made, pytest.raises(Unavailable, match="away"):
        made.submit(1).result(WAIT)


def test_closing_writes_what_is_pending_and_refuses_more() -> None:
    gate = Gate()
    made = Batcher("test", gate)
    futures = [made.submit(item) for item in range(5)]
    assert gate.entered.wait(WAIT)
    gate.go.set()
    made.close()

    assert all(future.done() for future in futures)
    with pytest.raises(Unavailable, match="shutting down"):
        made.submit(6)


def test_closing_does_not_wait_for_a_database_that_stays_away() -> None:
    tried = threading.Event()

    def write(items: Sequence[int]) -> Sequence[int]:
        tried.set()
        raise Unavailable("away")

    made = Batcher("test", write, retry_for=None)
    future = made.submit(1)
    assert tried.wait(WAIT)
    made.close()

    with pytest.raises(Unavailable):
        future.result(0)
    assert "batch-test" not in {thread.name for thread in threading.enumerate()}


def test_what_it_does_last_is_left_to_its_thread() -> None:
    """Closing must not wait for what the thread waits for, which may be a server that has stopped for good."""
    gate, ended = Gate(), list[threading.Thread]()
    made: Batcher[int, int] = Batcher("test", gate, at_end=lambda: ended.append(threading.current_thread()))
    made.submit(1)
    assert gate.entered.wait(WAIT)

    made.close(timeout=0.05)
    assert not ended

    gate.go.set()
    made.close()
    assert [thread.name for thread in ended] == ["batch-test"]


def test_a_cancelled_item_is_not_written_and_harms_nobody() -> None:
    gate = Gate()
    with batcher(gate) as made:
        running = made.submit(1)
        assert gate.entered.wait(WAIT)
        cancelled, other = made.submit(2), made.submit(3)
        assert cancelled.cancel()
        assert not running.cancel(), "its batch has begun"
        gate.go.set()

        assert [running.result(WAIT), other.result(WAIT)] == [-1, -3]
        assert made.submit(4).result(WAIT) == -4
    assert gate.batches == [[1], [3], [4]]


def test_many_threads_get_their_own_answers() -> None:
    with batcher(lambda items: [item * 2 for item in items], max_size=7) as made, ThreadPoolExecutor(5) as pool:

        def ask(thread: int) -> list[Future[int]]:
            return [made.submit(thread * 1000 + at) for at in range(500)]

        for thread, futures in enumerate(pool.map(ask, range(5))):
            results = [future.result(WAIT) for future in futures]
            assert results == [2 * (thread * 1000 + at) for at in range(500)]


def test_a_batch_has_no_more_bytes_than_it_may_but_always_one_item() -> None:
    gate = Gate()
    made: Batcher[int, int] = Batcher("test", gate, size_of=lambda item: item, max_bytes=10)
    try:
        first = made.submit(1)
        assert gate.entered.wait(WAIT)
        others = [made.submit(item) for item in (4, 6, 1, 50, 9, 1)]
        gate.go.set()
        assert [future.result(WAIT) for future in (first, *others)] == [-1, -4, -6, -1, -50, -9, -1]
    finally:
        made.close()
    assert gate.batches == [[1], [4, 6], [1], [50], [9, 1]]
