"""The :class:`Run` of a handler in a process of its own: the worker does what needs the database."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

from callboard.actors.execution.interrupts import StopRequest
from callboard.actors.execution.isolation.messages import Answer, Call, Failure
from callboard.actors.execution.isolation.pipe import WorkerPipe
from callboard.actors.execution.progress import Progress
from callboard.actors.execution.run_base import HandlerRun, blocks_of
from callboard.db.rules.attempts import ClaimedJob
from callboard.db.rules.ids import new_id


class Worker:
    """The calls that the worker does for one attempt; among them those of :class:`CheckpointStore`."""

    def __init__(self, link: WorkerPipe, stop: StopRequest) -> None:
        self._link = link
        self._stop = stop

    def read_checkpoint(self) -> bytes | None:
        data: bytes | None = self.call("read_checkpoint")
        return data

    def save_checkpoint(self, data: bytes) -> None:
        self.call("save_checkpoint", data)

    def read_step(self, key: str) -> bytes | None:
        result: bytes | None = self.call("read_step", key)
        return result

    def save_step(self, key: str, data: bytes) -> bytes:
        result: bytes = self.call("save_step", key, data)
        return result

    def call(self, name: str, *arguments: Any) -> Any:
        """Return what the worker answers, or raise what this raised there."""
        answer = self._link.ask(Call(name, arguments))
        match answer:
            case Answer(value):
                return value
            case Failure(error, reason):
                if reason is not None:
                    self._stop.interrupt(reason)
                raise error


class RemoteRun(HandlerRun):
    """One attempt of one job; see :class:`callboard.actors.types.run.Run`, which it implements."""

    def __init__(self, job: ClaimedJob, stop: StopRequest, progress: Progress, worker: Worker) -> None:
        super().__init__(job, stop, progress, worker)
        self._worker = worker

    def file(self, file_id: UUID | str) -> Path:
        path: Path = self._worker.call("file", str(file_id))
        return path

    def attach(
        self, content: Path | bytes | Iterable[bytes], *, name: str | None = None, media_type: str | None = None
    ) -> UUID:
        self.check()
        if isinstance(content, Path):
            return self._attach(content.absolute(), name, media_type)
        spooled = self.folder / str(new_id())
        try:
            with spooled.open("wb") as file:
                for block in blocks_of(content):
                    self.check()
                    file.write(block)
            return self._attach(spooled, name or "", media_type)
        finally:
            spooled.unlink(missing_ok=True)

    def _attach(self, path: Path, name: str | None, media_type: str | None) -> UUID:
        file_id: UUID = self._worker.call("attach", path, name, media_type)
        return file_id
