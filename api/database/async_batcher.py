"""An asyncio interface to ``callboard.db.sql.group_commit.Batcher``."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from callboard.db.errors import Unavailable
from callboard.db.sql.group_commit import Batcher

Item = TypeVar("Item")
Result = TypeVar("Result")


class AsyncBatcher(Generic[Item, Result]):
    """Passes items of one event loop to a batcher, and its results back.

    All results of a batch wake the loop once. ``asyncio.wrap_future`` would wake it for each result, and costs several
    times as much.
    """

    def __init__(self, batcher: Batcher[Item, Result], *, timeout: float) -> None:
        """
        Args:
            batcher: runs the batches in its thread.
            timeout: seconds after which :meth:`result` raises ``Unavailable``.
        """
        self._batcher = batcher
        self._timeout = timeout
        self._ended: deque[_Receiver[Result]] = deque()
        self._delivering = False

    async def result(self, item: Item) -> Result:
        """Return the batcher's result for an item.

        Raises:
            Unavailable: it took longer than the timeout. The item is dropped if its batch has not begun by then.
        """
        loop = asyncio.get_running_loop()
        receiver = _Receiver(self, loop)
        self._batcher.submit_for(receiver, item)
        timer = loop.call_later(self._timeout, receiver.time_out, self._timeout)
        try:
            return await receiver.future
        finally:
            timer.cancel()

    def close(self) -> None:
        """Finish the pending items, and accept no more. Blocks; not called in the loop, which delivers the results."""
        self._batcher.close()

    def ended(self, receiver: _Receiver[Result], loop: asyncio.AbstractEventLoop) -> None:
        """Have the loop deliver this result, and all that follow until it does. Called in the batcher's thread."""
        self._ended.append(receiver)
        if not self._delivering:
            self._delivering = True
            loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # Set first: a result that is appended after the loop below calls for another delivery.
        self._delivering = False
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

    def time_out(self, after: float) -> None:
        if not self.future.done():
            self.future.set_exception(Unavailable(f"The database did not answer within {after:g} seconds."))
