"""The :class:`Run` of every handler, and what it needs of the worker, in the same process or from another one.

A new method of ``Run`` is declared there and implemented here. If it needs the database or the storage, it calls a
method that is declared in :class:`RunServices` and implemented in ``WorkerServices``; a handler's process calls that by
its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import UUID

import orjson
import structlog

from callboard.actors.execution.checkpoints import Checkpoints, CheckpointStore
from callboard.actors.execution.interrupts import StopRequest
from callboard.actors.execution.progress import Progress
from callboard.db.rules.attempts import ClaimedJob
from callboard.db.rules.text import said, shown, storable

_log = structlog.get_logger("callboard.job")


class RunServices(CheckpointStore, Protocol):
    """What only the worker can do for a run. See :class:`Run` for what the calls do and raise.

    Arguments are given by position. They and the results can be pickled, or ``RemoteServices`` has a method of its own.
    """

    def file(self, file_id: UUID) -> Path: ...
    def attach(self, content: Path | bytes | Iterable[bytes], name: str | None, media_type: str | None) -> UUID: ...


#: The fields that every line has, and the arguments of a logger.
_RESERVED: Final = frozenset(
    {"attempt", "event", "exc_info", "exception", "job_id", "job_type", "level", "logger", "self", "stack_info"}
    | {"stack", "timestamp"}
)

#: The methods that a handler's process may call.
SERVICE_NAMES: Final = frozenset(name for name in dir(RunServices) if not name.startswith("_"))


class HandlerRun:
    """One attempt of one job, as its handler sees it; see :class:`callboard.actors.types.run.Run`."""

    def __init__(self, job: ClaimedJob, stop: StopRequest, progress: Progress, services: RunServices) -> None:
        self._job = job
        self._stop = stop
        self._progress = progress
        self._services = services
        self._checkpoints = Checkpoints(job.id, services, stop.check)

    @property
    def services(self) -> RunServices:
        """For Callboard's own job types."""
        return self._services

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

    def log(self, message: str = "", /, **fields: object) -> None:
        # Nothing about a line in the log is a reason to fail a job, not even ``message`` by its name.
        with suppress(Exception):
            _log.info(storable(said(message)), **log_fields(self._job), **_own(fields))

    def file(self, file_id: UUID | str) -> Path:
        return self._services.file(UUID(str(file_id)))

    def attach(
        self, content: Path | bytes | Iterable[bytes], *, name: str | None = None, media_type: str | None = None
    ) -> UUID:
        self._stop.check()
        return self._services.attach(content, name, media_type)

    def checkpoint(self, data: Any) -> None:
        self._checkpoints.checkpoint(data)

    @property
    def restored(self) -> Any:
        return self._checkpoints.restored

    def once(self, key: str, function: Callable[[], Any]) -> Any:
        return self._checkpoints.once(key, function)

    def token(self, key: str) -> UUID:
        return self._checkpoints.token(key)


def _own(fields: Mapping[str, object]) -> dict[str, Any]:
    """Return the handler's own fields of a line, under names that mean nothing else, with values that have JSON."""
    named: dict[str, Any] = {}
    for name, value in fields.items():
        while name in _RESERVED or name in named:
            name += "_"  # noqa: PLW2901
        try:
            named[name] = orjson.loads(orjson.dumps(value, default=shown))
        except TypeError:
            named[name] = storable(shown(value))
    return named


def log_fields(job: ClaimedJob) -> dict[str, Any]:
    """Return what every log line about an attempt has."""
    return {"job_id": str(job.id), "job_type": job.type, "attempt": job.attempt}
