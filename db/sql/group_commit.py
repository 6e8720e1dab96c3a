"""Group commit: many callers, one statement, one commit.

While one batch is being written, callers queue up; the next batch takes all of them. So an idle system waits for
nobody, and a busy one pays one round trip for hundreds of jobs.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Generic, Protocol, TypeVar

from sqlalchemy.exc import DBAPIError, StatementError

from callboard.db.errors import Unavailable
from callboard.db.rules.backoff import Backoff

Item = TypeVar("Item")
Result = TypeVar("Result")
Result_contra = TypeVar("Result_contra", contravariant=True)

#: Raised for values that cannot be stored. ValueError and TypeError: a driver or a serializer cannot even send them.
BAD_DATA = (DBAPIError, StatementError, ValueError, TypeError)

#: A batch is one parameter of one statement, of which PostgreSQL takes less than 1 GB.
_MOST_BYTES = 64 * 2**20

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class Receiver(Protocol[Result_contra]):
    """Receives the result of an item: a :class:`concurrent.futures.Future`, or an object with these methods of one.

    The methods are called in the batcher's thread.
    """

    def set_running_or_notify_cancel(self) -> bool: ...
    def set_result(self, result: Result_contra, /) -> None: ...
    def set_exception(self, exception: BaseException, /) -> None: ...


class _Waiting(Generic[Result]):
    """A future for one waiting thread. Its bare lock costs a fraction of what a ``Future`` does."""

    __slots__ = ("_ended", "_error", "_result")

    def __init__(self) -> None:
        self._ended = threading.Lock()
        self._ended.acquire()
        self._error: BaseException | None = None

    def set_running_or_notify_cancel(self) -> bool:
        return True

    def set_result(self, result: Result, /) -> None:
        self._result = result
        self._ended.release()

    def set_exception(self, exception: BaseException, /) -> None:
        self._error = exception
        self._ended.release()

    def result(self) -> Result:
        self._ended.acquire()
        if self._error is not None:
            raise self._error
        return self._result


class Batcher(Generic[Item, Result]):
    """Collects items from any thread and has one thread write them together.

    ``write`` gets up to ``max_size`` items of at most ``max_bytes`` together (a larger item comes alone), and returns
    one result for each, in order. When it returns, the items are durable. It must be safe to repeat. If it raises:

    - ``Unavailable`` (database away, deadlock, the response to COMMIT lost): it is called again (``rewrite`` in its
      place, if there is one) for up to ``retry_for`` seconds per batch;
    - an error of the data (one bad row, refused by the database or impossible to send): the batch is halved until
      the bad row fails alone;
    - anything else: all callers of the batch get the error.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        rewrite: Callable[[Sequence[Item]], Sequence[Result]] | None = None,
        max_size: int = 500,
        size_of: Callable[[Item], int] | None = None,
        max_bytes: int = _MOST_BYTES,
        retry_for: float | None = 5.0,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            name: of the thread.
            write: see above.
            rewrite: ``write`` for items that may have been committed already.
            max_size: most items in one call.
            size_of: returns about how many bytes an item has; None where all items are small.
            max_bytes: most bytes in one call; a larger item is written by itself.
            retry_for: seconds that a batch is tried for while the database is away; None: until :meth:`close`.
            at_end: called by the thread as its last act, for example to close a connection that only it uses.
        """
        self._write_batch = write
        self._rewrite = rewrite or write
        self._max_size = max_size
        self._size_of = size_of
        self._max_bytes = max_bytes
        self._retry_for = retry_for
        self._at_end = at_end
        self._pending: deque[tuple[Item, Receiver[Result]]] = deque()
        self._wakeup = threading.Condition(threading.Lock())
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=f"batch-{name}", daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> Future[Result]:
        """Queue one item. The future is done when the item is durable, or has the error of writing it.

        An item whose future is cancelled before its batch begins is not written.

        Raises:
            Unavailable: the batcher has been closed.
        """
        future: Future[Result] = Future()
        self.submit_for(future, item)
        return future

    def write(self, item: Item) -> Result:
        """Write one item: wait until it is durable and return its result, or raise the error of writing it.

        Raises:
            Unavailable: the batcher has been closed.
        """
        waiting: _Waiting[Result] = _Waiting()
        self.submit_for(waiting, item)
        return waiting.result()

    def submit_for(self, receiver: Receiver[Result], item: Item) -> None:
        """Queue one item, as :meth:`submit` does; ``receiver`` gets its result or error."""
        with self._wakeup:
            if self._closing:
                raise Unavailable("This process is shutting down.")
            self._pending.append((item, receiver))
            # The writer checks for new items after each batch; it is to be woken only when it sleeps on an empty queue.
            if len(self._pending) == 1:
                self._wakeup.notify()

    @property
    def alive(self) -> bool:
        """Whether the batcher's thread runs; without it callers wait for ever."""
        return self._thread.is_alive()

    def close(self, timeout: float = 10.0) -> None:
        """Write what is pending and end the thread; waits at most ``timeout`` seconds. Later items are refused."""
        with self._wakeup:
            self._closing = True
            self._wakeup.notify()
        self._thread.join(timeout)

    def _work(self) -> None:
        while True:
            with self._wakeup:
                while not self._pending and not self._closing:
                    self._wakeup.wait()
                if not self._pending:
                    break
                batch = [self._pending.popleft() for _ in range(self._next_size())]
            # From here on nobody can cancel them: a cancelled future accepts no result.
            if uncancelled := [entry for entry in batch if entry[1].set_running_or_notify_cancel()]:
                self._settle(uncancelled)
        self._at_end()

    def _next_size(self) -> int:
        """Return how many of the pending items make the next batch: one at least."""
        most = min(len(self._pending), self._max_size)
        if self._size_of is None:
            return most
        total = 0
        for count, (item, _) in enumerate(islice(self._pending, most)):
            total += self._size_of(item)
            if total > self._max_bytes:
                return max(1, count)
        return most

    def _settle(self, batch: Sequence[tuple[Item, Receiver[Result]]]) -> None:
        """Write a batch and give each receiver its result or error."""
        try:
            results = self._write_with_retries([item for item, _ in batch])
        except BAD_DATA as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            middle = len(batch) // 2
            self._settle(batch[:middle])
            self._settle(batch[middle:])
        except BaseException as error:  # noqa: BLE001 - the callers are waiting, whatever it is
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)

    def _write_with_retries(self, items: Sequence[Item]) -> Sequence[Result]:
        give_up_at = None if self._retry_for is None else time.monotonic() + self._retry_for
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        write = self._write_batch
        while True:
            try:
                return write(items)
            except Unavailable:
                pause = backoff.next()
                late = give_up_at is not None and time.monotonic() + pause > give_up_at
                if late or self._closing:
                    raise
            time.sleep(pause)
            write = self._rewrite
