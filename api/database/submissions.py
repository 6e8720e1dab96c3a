"""Group commit of submissions: all concurrent requests become one statement and one commit."""

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

#: Requests with more bytes of payload are written one by one: they neither delay small ones nor make a statement of
#: hundreds of megabytes.
_LARGE: Final = 64 * 2**10

#: Seconds before each new attempt while another process writes a submission with the same idempotency key. That takes
#: a few milliseconds, unless the process is in trouble.
_IN_FLIGHT_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)

#: Seconds between two notifications of the dispatcher: little against the time that their first job has waited by then,
#: and many batches of a busy server.
_NOTIFY_INTERVAL: Final = 0.005


class SubmissionWriter:
    """Writes submissions of this process durably, and then notifies the dispatcher."""

    def __init__(self, database: Database, *, queues: Sequence[str], retry_for: float, timeout: float) -> None:
        """
        Args:
            database: keeps one connection for small submissions.
            queues: the queues of the job types, which are inserted before the first submission.
            retry_for: seconds for which a batch is repeated while the database is away.
            timeout: seconds after which :meth:`submit` raises ``Unavailable``.
        """
        self._database = database
        self._queues = queues
        self._queues_exist = False
        connection = database.pinned()
        write = partial(self._write, connection.use)
        small = Batcher(
            "submit",
            write,
            rewrite=partial(write, repeated=True),
            max_size=200,
            retry_for=retry_for,
            at_end=connection.close,
        )
        write = partial(self._write, database.autocommit)
        large = Batcher("submit-large", write, rewrite=partial(write, repeated=True), max_size=1, retry_for=retry_for)
        self._small = AsyncBatcher(small, timeout=timeout)
        self._large = AsyncBatcher(large, timeout=timeout)
        # The first notification is sent at once, those of the next milliseconds together.
        self._next_notification = 0.0
        self._notifications = Batcher("notify", self._notify, retry_for=0.0)

    async def submit(self, request: SubmissionRequest) -> SubmissionResult:
        """Insert the jobs of a request, all or none; they are durable when this returns.

        Raises:
            Unavailable: the database did not answer. The jobs may have been inserted all the same.
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
        """Notify the dispatcher of new jobs. It polls as well: a lost notification costs its poll interval."""
        with suppress(Unavailable):  # this process is shutting down
            self._notifications.submit(None)

    def close(self) -> None:
        """Write the pending submissions, and accept no more. Blocks."""
        self._small.close()
        self._large.close()
        self._notifications.close()

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
        # A single statement needs no round trips to begin and to commit, and can notify the dispatcher itself.
        one = not repeated and all(map(is_one_statement, requests))
        wake = one and time.monotonic() >= self._next_notification
        with autocommit() if one else self._database.begin() as connection:
            submissions = submit(connection, requests, repeated=repeated, wake=wake)
        # Of scheduled jobs too: they may be due before its next poll.
        if wake:
            self._next_notification = time.monotonic() + _NOTIFY_INTERVAL
        elif any(submission.rows for submission in submissions):
            self.wake_dispatcher()
        return submissions

    def _notify(self, requests: Sequence[None]) -> Sequence[None]:
        time.sleep(max(0.0, self._next_notification - time.monotonic()))
        notify_dispatcher(self._database)
        self._next_notification = time.monotonic() + _NOTIFY_INTERVAL
        return requests
