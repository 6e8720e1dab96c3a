"""The services of the worker, for a run in a handler's process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from callboard.actors.execution.attempt_files import TemporaryFolder, blocks_of
from callboard.actors.execution.handler_run import SERVICE_NAMES
from callboard.actors.execution.interrupts import StopRequest
from callboard.actors.execution.isolation.messages import Call, Raised, Returned
from callboard.actors.execution.isolation.pipe import WorkerPipe
from callboard.db.rules.ids import new_id


class RemoteServices:
    """The :class:`RunServices` of one attempt. Close it when the attempt has ended.

    Each call is forwarded to the worker by its name. Only calls whose arguments cannot be pickled have a method here.
    """

    def __init__(self, link: WorkerPipe, stop: StopRequest) -> None:
        self._link = link
        self._stop = stop
        self._folder = TemporaryFolder()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in SERVICE_NAMES:
            raise AttributeError(name)
        return partial(self._call, name)

    def close(self) -> None:
        """Remove the attempt's temporary files."""
        self._folder.close()

    def attach(self, content: Path | bytes | Iterable[bytes], name: str | None, media_type: str | None) -> UUID:
        """Forward the path of a file. Other content is written into a temporary file first."""
        if isinstance(content, Path):
            return self._attach(content.absolute(), name, media_type)
        spooled = self._folder.path / str(new_id())
        try:
            with spooled.open("wb") as file:
                for block in blocks_of(content):
                    self._stop.check()
                    file.write(block)
            return self._attach(spooled, name or "", media_type)
        finally:
            spooled.unlink(missing_ok=True)

    def _attach(self, path: Path, name: str | None, media_type: str | None) -> UUID:
        file_id: UUID = self._call("attach", path, name, media_type)
        return file_id

    def _call(self, name: str, *arguments: Any) -> Any:
        """Return what the worker's call returned, or raise what it raised."""
        match self._link.request(Call(name, arguments)):
            case Returned(value):
                return value
            case Raised(error, reason):
                if reason is not None:
                    self._stop.interrupt(reason)
                raise error
