"""The worker's side of a run: what a handler needs of database and storage."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from mimetypes import guess_type
from pathlib import Path
from typing import NoReturn, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from callboard.actors.execution.attempt_files import TemporaryFolder, blocks_of
from callboard.actors.execution.forked_copy import refuse_copy
from callboard.actors.execution.interrupts import Interruption, JobInterrupted, StopRequest
from callboard.db.attempt import checkpoints
from callboard.db.errors import Unavailable
from callboard.db.files.outputs import attach
from callboard.db.files.rows import File, delete_bytes, get_file
from callboard.db.files.storage import Storage
from callboard.db.rules.attempts import ClaimedJob
from callboard.db.rules.backoff import Backoff
from callboard.db.rules.filenames import safe_media_type, safe_name
from callboard.db.rules.ids import new_id
from callboard.db.sql.engine import Database

Result = TypeVar("Result")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class WorkerServices:
    """The :class:`RunServices` of one attempt. Close it when the attempt has ended."""

    def __init__(self, job: ClaimedJob, stop: StopRequest, database: Database, storage: Storage) -> None:
        self.database = database
        self.storage = storage
        self._job = job
        self._attempt_id = job.attempt_id
        self._stop = stop
        self._folder = TemporaryFolder()
        self._process_id = os.getpid()

    def close(self) -> None:
        """Remove the attempt's temporary files."""
        self._folder.close()

    def file(self, file_id: UUID) -> Path:
        refuse_copy(self._process_id)
        with self._stop.guarded(), self.database.begin() as connection:
            get_file(connection, file_id, owner=self._job.owner)
        return self.storage.open_local(file_id, self._folder.path)

    def attach(self, content: Path | bytes | Iterable[bytes], name: str | None, media_type: str | None) -> UUID:
        refuse_copy(self._process_id)
        if name is None:
            name = content.name if isinstance(content, Path) else ""
        name = safe_name(name)
        if media_type is None:
            media_type = guess_type(name)[0] or ""
        file_id = new_id()
        stored = self.storage.put(file_id, map(self._checked, blocks_of(content)))
        file = File(file_id, self._job.owner, name, stored.size, stored.sha256, safe_media_type(media_type))
        # If this fails nobody knows whether it was committed, so the bytes stay; without a row they are swept up later.
        with self._stop.guarded(), self.database.begin() as connection:
            superseded = attach(connection, file, job_id=self._job.id, attempt=self._job.attempt)
        if superseded is None:
            delete_bytes(self.storage, [file_id])
            self.stop_fenced_out()
        delete_bytes(self.storage, superseded)
        return file_id

    def read_checkpoint(self) -> bytes | None:
        return self._fenced(lambda connection: checkpoints.read_checkpoint(connection, *self._attempt_id)).data

    def save_checkpoint(self, data: bytes) -> None:
        self._fenced(lambda connection: checkpoints.save_checkpoint(connection, *self._attempt_id, data))

    def read_step(self, key: str) -> bytes | None:
        return self._fenced(lambda connection: checkpoints.read_step(connection, *self._attempt_id, key)).data

    def save_step(self, key: str, data: bytes) -> bytes:
        step = self._fenced(lambda connection: checkpoints.save_step(connection, *self._attempt_id, key, data))
        return step.data or data

    def stop_fenced_out(self) -> NoReturn:
        """Stop the attempt, which another worker may run by now.

        Raises:
            JobInterrupted: always.
        """
        self._stop.interrupt(Interruption.LEASE_LOST)
        raise JobInterrupted

    def _checked(self, block: bytes) -> bytes:
        self._stop.check()
        return block

    def _fenced(self, statement: Callable[[Connection], Result | None]) -> Result:
        """Return the statement's result. None as a result means that the attempt was fenced out."""
        with self._stop.guarded():
            result = self._with_retries(statement)
            if result is None:
                self.stop_fenced_out()
            return result

    def _with_retries(self, statement: Callable[[Connection], Result]) -> Result:
        """Execute the statement, again and again while the database is away and the attempt is not to stop."""
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        while True:
            try:
                with self.database.autocommit() as connection:
                    return statement(connection)
            except Unavailable:
                if self._stop.reason is not None:
                    raise
            time.sleep(backoff.next())
