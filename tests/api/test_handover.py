from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from api.handover import Handover
from db.batching import Batcher
from db.errors import Unavailable


def run(handover: Handover[int, int], *items: int) -> list[int | BaseException]:
    async def ask() -> list[int | BaseException]:
        return await asyncio.gather(*(handover.result(item) for item in items), return_exceptions=True)

    return asyncio.run(ask())


def test_each_caller_gets_its_own_result() -> None:
    def write(items: Sequence[int]) -> Sequence[int]:
        return [item * 2 for item in items]

    handover = Handover(Batcher("test", write), patience=10)
    assert run(handover, *range(500)) == [item * 2 for item in range(500)]
    handover.close()


def test_errors_reach_the_callers() -> None:
    def write(items: Sequence[int]) -> Sequence[int]:
        if 7 in items:
            raise ValueError(items)
        return items

    handover = Handover(Batcher("test", write), patience=10)
    *good, bad = run(handover, 1, 2, 3, 7)
    assert good == [1, 2, 3]
    assert isinstance(bad, ValueError)
    handover.close()
    (refused,) = run(handover, 1)
    assert isinstance(refused, Unavailable)


def test_callers_give_up_and_what_had_not_begun_never_does() -> None:
    begun, go = threading.Event(), threading.Event()
    written: list[int] = []

    def write(items: Sequence[int]) -> Sequence[int]:
        begun.set()
        assert go.wait(20)
        written.extend(items)
        return items

    handover = Handover(Batcher("test", write), patience=0.05)

    async def ask() -> None:
        first = asyncio.create_task(handover.result(1))
        await asyncio.to_thread(begun.wait, 20)
        second = asyncio.create_task(handover.result(2))
        cancelled = asyncio.create_task(handover.result(3))
        await asyncio.sleep(0)
        cancelled.cancel()
        for task in (first, second):
            with pytest.raises(Unavailable):
                await task
        handover._patience = 20
        go.set()
        assert await handover.result(4) == 4

    asyncio.run(ask())
    handover.close()
    assert written == [1, 4]
