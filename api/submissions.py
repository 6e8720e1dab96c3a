"""Group commit of submissions: all requests in flight become one statement and one commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from api.handover import Handover
from db.batching import Batcher
from db.dispatch import notify_dispatcher
from db.engine import Database
from db.errors import Unavailable
from db.queues import ensure_queues
from db.transitions import Request, Submission, SubmissionKind, submit

#: Requests above this many bytes of payload are written one by one, so that they neither delay small ones nor make
#: one statement of hundreds of megabytes.
_LARGE: Final = 64 * 2**10

#: Seconds between looks at a key that another process is using. That takes a few milliseconds, unless it is in trouble.
_IN_FLIGHT_PAUSES: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)

#: Seconds: little against what the first of these jobs has waited by then, and many batches of a busy server.
_BETWEEN_HINTS: Final = 0.02


class Submissions:
    """Writes submissions of this process. Each returns once it is durable; then the dispatcher is woken."""

    def __init__(self, database: Database, *, queues: Sequence[str], retry_for: float, patience: float) -> None:
        """
        Args:
            database: where to.
            queues: the queues of the job types; they are made before the first submission.
            retry_for: seconds for which a batch is tried again while the database is away.
            patience: seconds after which a caller gives up.
        """
        self._database = database
        self._queues = queues
        self._queues_exist = False
        again = partial(self._write, repeated=True)
        small = Batcher("submit", self._write, rewrite=again, max_size=200, patience=retry_for)
        large = Batcher("submit-large", self._write, rewrite=again, max_size=1, patience=retry_for)
        self._small = Handover(small, patience=patience)
        self._large = Handover(large, patience=patience)
        # One NOTIFY for all batches that were committed since the one before it.
        self._wakeups = Batcher("notify", self._wake, patience=0.0)

    async def submit(self, request: Request) -> Submission:
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

    def _write(self, requests: Sequence[Request], *, repeated: bool = False) -> Sequence[Submission]:
        with self._database.begin() as connection:
            if not self._queues_exist:
                ensure_queues(connection, self._queues)
            submissions = submit(connection, requests, repeated=repeated)
        self._queues_exist = True
        # For those that are scheduled, too: they may be due before its next look.
        if any(made.rows for made in submissions):
            self.wake_dispatcher()
        return submissions

    def _wake(self, hints: Sequence[None]) -> Sequence[None]:
        with self._database.autocommit() as connection:
            notify_dispatcher(connection)
        # The first hint went out at once; those of the next moments are one.
        time.sleep(_BETWEEN_HINTS)
        return hints
