"""Group commit of submissions: all requests in flight become one statement and one commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Final

from sqlalchemy import Connection

from callboard.api.database.async_batcher import AsyncBatcher
from callboard.db.dispatching.queues import ensure_queues
from callboard.db.errors import Unavailable
from callboard.db.sql.engine import Database
from callboard.db.sql.group_commit import Batcher
from callboard.db.sql.notify import notify_dispatcher
from callboard.db.transitions import SubmissionKind, SubmissionRequest, SubmissionResult, is_one_statement, submit

#: Requests above this many bytes of payload are written one by one, so that they neither delay small ones nor make
#: one statement of hundreds of megabytes.
_LARGE: Final = 64 * 2**10

#: Seconds between looks at a key that another process is using. That takes a few milliseconds, unless it is in trouble.
_IN_FLIGHT_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)

#: Seconds: little against what the first of these jobs has waited by then, and many batches of a busy server.
_BETWEEN_HINTS: Final = 0.005


class SubmissionWriter:
    """Writes submissions of this process. Each returns once it is durable; then the dispatcher is woken."""

    def __init__(self, database: Database, *, queues: Sequence[str], retry_for: float, timeout: float) -> None:
        """
        Args:
            database: where to.
            queues: the queues of the job types; they are made before the first submission.
            retry_for: seconds for which a batch is tried again while the database is away.
            timeout: seconds after which a caller gives up.
        """
        self._database = database
        self._queues = queues
        self._queues_exist = False
        kept = database.pinned()
        write = partial(self._write, kept.use)
        small = Batcher(
            "submit",
            write,
            rewrite=partial(write, repeated=True),
            max_size=200,
            retry_for=retry_for,
            at_end=kept.close,
        )
        write = partial(self._write, database.autocommit)
        large = Batcher("submit-large", write, rewrite=partial(write, repeated=True), max_size=1, retry_for=retry_for)
        self._small = AsyncBatcher(small, timeout=timeout)
        self._large = AsyncBatcher(large, timeout=timeout)
        # The first hint goes out at once, those of the next moments together.
        self._next_hint = 0.0
        self._wakeups = Batcher("notify", self._wake, retry_for=0.0)

    async def submit(self, request: SubmissionRequest) -> SubmissionResult:
        """Make the jobs of a request, all or none.

        Raises:
            Unavailable: the database did not answer. The jobs may have been made all the same.
        """
        large = sum(len(job.payload) for job in request.jobs) > _LARGE or len(request.jobs) > 1
        batches = self._large if large else self._small
        submission = await batches.result(request)
        for pause in _IN_FLIGHT_PAUSES:
            if submission.kind is not SubmissionKind.KEY_IN_FLIGHT:
                break
            await asyncio.sleep(pause)
            submission = await batches.result(request)
        return submission

    def wake_dispatcher(self) -> None:
        """Tell the dispatcher that there are new jobs. A hint: losing it costs the dispatcher's poll interval."""
        with suppress(Unavailable):  # this process is shutting down
            self._wakeups.submit(None)

    def close(self) -> None:
        """Write what is pending, and take no more."""
        self._small.close()
        self._large.close()
        self._wakeups.close()

    def _write(
        self,
        autocommit: Callable[[], AbstractContextManager[Connection]],
        requests: Sequence[SubmissionRequest],
        *,
        repeated: bool = False,
    ) -> Sequence[SubmissionResult]:
        if not self._queues_exist:
            with self._database.begin() as connection:
                ensure_queues(connection, self._queues)
            self._queues_exist = True
        # What is one statement needs no round trips to begin and to commit, or to wake the dispatcher.
        one = not repeated and all(map(is_one_statement, requests))
        wake = one and time.monotonic() >= self._next_hint
        with autocommit() if one else self._database.begin() as connection:
            submissions = submit(connection, requests, repeated=repeated, wake=wake)
        # For those that are scheduled, too: they may be due before its next look.
        if wake:
            self._next_hint = time.monotonic() + _BETWEEN_HINTS
        elif any(made.rows for made in submissions):
            self.wake_dispatcher()
        return submissions

    def _wake(self, hints: Sequence[None]) -> Sequence[None]:
        time.sleep(max(0.0, self._next_hint - time.monotonic()))
        notify_dispatcher(self._database)
        self._next_hint = time.monotonic() + _BETWEEN_HINTS
        return hints
