"""The :class:`~actors.context.Run` that a worker hands to a handler."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import structlog

from actors.interrupts import Interrupter
from actors.progress import Progress
from db.engine import Database
from db.files import get_file
from db.storage import Storage
from db.transitions import ClaimedJob

_log = structlog.get_logger("callboard.job")


class AttemptRun:
    """One attempt of one job; see :class:`actors.context.Run`, which it implements."""

    def __init__(
        self, job: ClaimedJob, interrupter: Interrupter, progress: Progress, database: Database, storage: Storage
    ) -> None:
        self._job = job
        self._interrupter = interrupter
        self._progress = progress
        self._database = database
        self._storage = storage
        self._folder: Path | None = None

    @property
    def job_id(self) -> UUID:
        return self._job.id

    @property
    def attempt(self) -> int:
        return self._job.attempt

    @property
    def deadline(self) -> datetime | None:
        return self._job.started_at + timedelta(seconds=self._job.time_limit)

    def progress(
        self, current: float, total: float | None = None, message: str | None = None, *, step: str | None = None
    ) -> None:
        self._progress.report(current, total, step, message)
        self._interrupter.check()

    def check(self) -> None:
        self._interrupter.check()

    def log(self, message: str, **fields: object) -> None:
        _log.info(message, job_id=str(self._job.id), job_type=self._job.type, attempt=self._job.attempt, **fields)

    def file(self, file_id: UUID | str) -> Path:
        with self._database.begin() as connection:
            get_file(connection, UUID(str(file_id)), owner=self._job.owner)
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="callboard-"))
        return self._storage.open_local(UUID(str(file_id)), self._folder)

    def close(self) -> None:
        """Remove what :meth:`file` has put on the local disk."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(self._folder)
