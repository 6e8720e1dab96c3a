from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from callboard.api.database.async_batcher import AsyncBatcher
from callboard.db.errors import Unavailable
from callboard.db.sql.group_commit import Batcher


def run(batcher: AsyncBatcher[int, int], *items: int) -> list[int | BaseException]:
    async def ask() -> list[int | BaseException]:
        return await asyncio.gather(*(batcher.result(item) for item in items), return_exceptions=True)

    return asyncio.run(ask())


def test_each_caller_gets_its_own_result() -> None:
    def write(items: Sequence[int]) -> Sequence[int]:
        return [item * 2 for item in items]

    batcher = AsyncBatcher(Batcher("test", write), timeout=10)
    assert run(batcher, *range(500)) == [item * 2 for item in range(500)]
    batcher.close()


def test_errors_reach_the_callers() -> None:
    def write(items: Sequence[int]) -> Sequence[int]:
        if 7 in items:
            raise ValueError(items)
        return items

    batcher = AsyncBatcher(Batcher("test", write), timeout=10)
    *good, bad = run(batcher, 1, 2, 3, 7)
    assert good == [1, 2, 3]
    assert isinstance(bad, ValueError)
    batcher.close()
    (refused,) = run(batcher, 1)
    assert isinstance(refused, Unavailable)


def test_callers_give_up_and_what_had_not_begun_never_does() -> None:
    begun, go = threading.Event(), threading.Event()
    written: list[int] = []

    def write(items: Sequence[int]) -> Sequence[int]:
        begun.set()
        assert go.wait(20)
        written.extend(items)
        return items

    shared = Batcher("test", write)
    batcher, patient = AsyncBatcher(shared, timeout=0.05), AsyncBatcher(shared, timeout=20)

    async def ask() -> None:
        first = asyncio.create_task(batcher.result(1))
        await asyncio.to_thread(begun.wait, 20)
        second = asyncio.create_task(batcher.result(2))
        cancelled = asyncio.create_task(batcher.result(3))
        await asyncio.sleep(0)
        cancelled.cancel()
        for task in (first, second):
            with pytest.raises(Unavailable):
                await task
        go.set()
        assert await patient.result(4) == 4

    asyncio.run(ask())
    batcher.close()
    assert written == [1, 4]
