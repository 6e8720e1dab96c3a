"""Batchers, awaited from an event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from callboard.db.errors import Unavailable
from callboard.db.sql.group_commit import Batcher

Item = TypeVar("Item")
Result = TypeVar("Result")


class AsyncBatcher(Generic[Item, Result]):
    """Gives items of one event loop to a batcher and takes the results back.

    All results of a batch wake the loop once. ``asyncio.wrap_future`` would wake it for each, and costs several times
    as much.
    """

    def __init__(self, batcher: Batcher[Item, Result], *, timeout: float) -> None:
        """``timeout``: seconds after which a caller gives up."""
        self._batcher = batcher
        self._timeout = timeout
        self._ended: deque[_Receiver[Result]] = deque()
        self._collecting = False

    async def result(self, item: Item) -> Result:
        """Return what came of one item.

        Raises:
            Unavailable: it took longer than the timeout. What has not begun by then never will.
        """
        loop = asyncio.get_running_loop()
        receiver = _Receiver(self, loop)
        self._batcher.submit_for(receiver, item)
        give_up = loop.call_later(self._timeout, receiver.give_up, self._timeout)
        try:
            return await receiver.future
        finally:
            give_up.cancel()

    def close(self) -> None:
        """Finish what is pending, and take no more. Not called in the loop, which has to take the results."""
        self._batcher.close()

    def ended(self, receiver: _Receiver[Result], loop: asyncio.AbstractEventLoop) -> None:
        """Have the loop collect this result, and all that come until it does. Called in the batcher's thread."""
        self._ended.append(receiver)
        if not self._collecting:
            self._collecting = True
            loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        # Set first: what is appended after the last look below asks for another collection.
        self._collecting = False
        while self._ended:
            self._ended.popleft().deliver()


class _Receiver(Generic[Result]):
    __slots__ = ("_batcher", "_error", "_loop", "_result", "future")

    def __init__(self, batcher: AsyncBatcher[Item, Result], loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[Result] = loop.create_future()
        self._batcher = batcher
        self._loop = loop
        self._error: BaseException | None = None

    def set_running_or_notify_cancel(self) -> bool:
        return not self.future.done()

    def set_result(self, result: Result, /) -> None:
        self._result = result
        self._batcher.ended(self, self._loop)

    def set_exception(self, exception: BaseException, /) -> None:
        self._error = exception
        self._batcher.ended(self, self._loop)

    def deliver(self) -> None:
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)

    def give_up(self, after: float) -> None:
        if not self.future.done():
            self.future.set_exception(Unavailable(f"The database did not answer within {after:g} seconds."))
