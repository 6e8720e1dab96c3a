"""What every :class:`Run` has in common, wherever the handler runs."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import structlog

from callboard.actors.execution.checkpoints import Checkpoints, CheckpointStore
from callboard.actors.execution.interrupts import StopRequest
from callboard.actors.execution.progress import Progress
from callboard.db.rules.attempts import ClaimedJob

_log = structlog.get_logger("callboard.job")

_BLOCK: Final = 2**20


class HandlerRun:
    """All of a :class:`Run` but its files."""

    def __init__(self, job: ClaimedJob, stop: StopRequest, progress: Progress, checkpoints: CheckpointStore) -> None:
        self._job = job
        self._stop = stop
        self._progress = progress
        self._checkpoints = Checkpoints(job.id, checkpoints, stop.check)
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
        self._stop.check()

    def check(self) -> None:
        self._stop.check()

    def log(self, message: str, **fields: object) -> None:
        _log.info(message, job_id=str(self._job.id), job_type=self._job.type, attempt=self._job.attempt, **fields)

    def checkpoint(self, data: Any) -> None:
        self._checkpoints.checkpoint(data)

    @property
    def restored(self) -> Any:
        return self._checkpoints.restored

    def once(self, key: str, function: Callable[[], Any]) -> Any:
        return self._checkpoints.once(key, function)

    def token(self, key: str) -> UUID:
        return self._checkpoints.token(key)

    @property
    def folder(self) -> Path:
        """A folder for what only this attempt needs."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="callboard-"))
        return self._folder

    def close(self) -> None:
        """Remove :attr:`folder`, if there is one."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(self._folder)


def blocks_of(content: Path | bytes | Iterable[bytes]) -> Iterator[bytes]:
    """Return what is to be attached, block by block."""
    if isinstance(content, Path):
        with content.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
    elif isinstance(content, bytes):
        yield content
    else:
        yield from content
