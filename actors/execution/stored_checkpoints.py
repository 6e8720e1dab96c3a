"""The memos of jobs in the database, as an attempt reads and writes them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from callboard.actors.execution.interrupts import Interruption, JobInterrupted, StopRequest
from callboard.db.attempt import checkpoints
from callboard.db.errors import Unavailable
from callboard.db.rules.attempts import ClaimedJob
from callboard.db.rules.backoff import Backoff
from callboard.db.sql.engine import Database

Answer = TypeVar("Answer")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class StoredCheckpoints:
    """The :class:`CheckpointStore` in the database."""

    def __init__(self, job: ClaimedJob, database: Database, stop: StopRequest) -> None:
        self._job = (job.id, job.attempt)
        self._database = database
        self._stop = stop

    def read_checkpoint(self) -> bytes | None:
        return self._of_ours(lambda connection: checkpoints.read_checkpoint(connection, *self._job)).data

    def save_checkpoint(self, data: bytes) -> None:
        self._of_ours(lambda connection: checkpoints.save_checkpoint(connection, *self._job, data))

    def read_step(self, key: str) -> bytes | None:
        return self._of_ours(lambda connection: checkpoints.read_step(connection, *self._job, key)).data

    def save_step(self, key: str, data: bytes) -> bytes:
        return self._of_ours(lambda connection: checkpoints.save_step(connection, *self._job, key, data)).data or data

    def _of_ours(self, statement: Callable[[Connection], Answer | None]) -> Answer:
        """Return what ``statement`` does unless that is None: the attempt is not ours any more."""
        with self._stop.guarded():
            answer = self._with_retries(statement)
            if answer is None:
                self._stop.interrupt(Interruption.LEASE_LOST)
                raise JobInterrupted
            return answer

    def _with_retries(self, statement: Callable[[Connection], Answer]) -> Answer:
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        while True:
            try:
                with self._database.autocommit() as connection:
                    return statement(connection)
            except Unavailable:
                if self._stop.reason is not None:
                    raise
            time.sleep(backoff.next())
