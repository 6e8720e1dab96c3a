"""The :class:`~actors.context.Run` that a worker hands to a handler."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from mimetypes import guess_type
from pathlib import Path
from typing import Final, NoReturn
from uuid import UUID

import structlog

from actors.interrupts import Interrupter, Interruption, JobInterrupted
from actors.progress import Progress
from db.engine import Database
from db.filenames import safe_media_type, safe_name
from db.files import File, delete_bytes, get_file
from db.ids import new_id
from db.outputs import attach
from db.storage import Storage
from db.transitions import ClaimedJob

_log = structlog.get_logger("callboard.job")

_BLOCK: Final = 2**20


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
    def database(self) -> Database:
        """The worker's; for Callboard's own job types."""
        return self._database

    @property
    def storage(self) -> Storage:
        """The worker's; for Callboard's own job types."""
        return self._storage

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

    def attach(
        self, content: Path | bytes | Iterable[bytes], *, name: str | None = None, media_type: str | None = None
    ) -> UUID:
        if name is None:
            name = content.name if isinstance(content, Path) else ""
        name = safe_name(name)
        if media_type is None:
            media_type = guess_type(name)[0] or ""
        self.check()
        file_id = new_id()
        stored = self._storage.put(file_id, map(self._checked, _blocks_of(content)))
        file = File(file_id, self._job.owner, name, stored.size, stored.sha256, safe_media_type(media_type))
        # If this fails nobody knows whether it was committed, so the bytes stay; without a row they are swept up later.
        with self._database.begin() as connection:
            superseded = attach(connection, file, job_id=self._job.id, attempt=self._job.attempt)
        if superseded is None:
            delete_bytes(self._storage, [file_id])
            self.stop_fenced_out()
        delete_bytes(self._storage, superseded)
        return file_id

    def stop_fenced_out(self) -> NoReturn:
        """Stop: the attempt turned out not to be ours any more."""
        self._interrupter.interrupt(Interruption.LEASE_LOST)
        raise JobInterrupted

    def _checked(self, block: bytes) -> bytes:
        self._interrupter.check()
        return block

    def close(self) -> None:
        """Remove what :meth:`file` has put on the local disk."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(self._folder)


def _blocks_of(content: Path | bytes | Iterable[bytes]) -> Iterator[bytes]:
    if isinstance(content, Path):
        with content.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
    elif isinstance(content, bytes):
        yield content
    else:
        yield from content
