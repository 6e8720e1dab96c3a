"""The :class:`Run` that a worker hands to a handler."""

from __future__ import annotations

from collections.abc import Iterable
from mimetypes import guess_type
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from callboard.actors.execution.interrupts import Interruption, JobInterrupted, StopRequest
from callboard.actors.execution.progress import Progress
from callboard.actors.execution.run_base import HandlerRun, blocks_of
from callboard.actors.execution.stored_checkpoints import StoredCheckpoints
from callboard.db.files.outputs import attach
from callboard.db.files.rows import File, delete_bytes, get_file
from callboard.db.files.storage import Storage
from callboard.db.rules.attempts import ClaimedJob
from callboard.db.rules.filenames import safe_media_type, safe_name
from callboard.db.rules.ids import new_id
from callboard.db.sql.engine import Database


class AttemptRun(HandlerRun):
    """One attempt of one job; see :class:`callboard.actors.types.run.Run`, which it implements."""

    def __init__(
        self, job: ClaimedJob, stop: StopRequest, progress: Progress, database: Database, storage: Storage
    ) -> None:
        self.checkpoints = StoredCheckpoints(job, database, stop)
        super().__init__(job, stop, progress, self.checkpoints)
        self._database = database
        self._storage = storage

    @property
    def database(self) -> Database:
        """The worker's; for Callboard's own job types."""
        return self._database

    @property
    def storage(self) -> Storage:
        """The worker's; for Callboard's own job types."""
        return self._storage

    def file(self, file_id: UUID | str) -> Path:
        with self._stop.guarded(), self._database.begin() as connection:
            get_file(connection, UUID(str(file_id)), owner=self._job.owner)
        return self._storage.open_local(UUID(str(file_id)), self.folder)

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
        stored = self._storage.put(file_id, map(self._checked, blocks_of(content)))
        file = File(file_id, self._job.owner, name, stored.size, stored.sha256, safe_media_type(media_type))
        # If this fails nobody knows whether it was committed, so the bytes stay; without a row they are swept up later.
        with self._stop.guarded(), self._database.begin() as connection:
            superseded = attach(connection, file, job_id=self._job.id, attempt=self._job.attempt)
        if superseded is None:
            delete_bytes(self._storage, [file_id])
            self.stop_fenced_out()
        delete_bytes(self._storage, superseded)
        return file_id

    def stop_fenced_out(self) -> NoReturn:
        """Stop: the attempt turned out not to be ours any more."""
        self._stop.interrupt(Interruption.LEASE_LOST)
        raise JobInterrupted

    def _checked(self, block: bytes) -> bytes:
        self._stop.check()
        return block
