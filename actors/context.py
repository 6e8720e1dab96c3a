"""What a handler gets beside its payload: the :class:`Run` of this attempt."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID


class Run(Protocol):
    """One attempt of one job, as its handler sees it. Safe to use from the handler's own threads."""

    @property
    def job_id(self) -> UUID:
        """The job's id."""
        ...

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1."""
        ...

    @property
    def deadline(self) -> datetime | None:
        """When the time limit ends this attempt (UTC), or None without a limit."""
        ...

    def progress(
        self, current: float, total: float | None = None, message: str | None = None, *, step: str | None = None
    ) -> None:
        """Report how far the work is. Cheap: reports are coalesced to a few a second, the last one is always kept.

        Also a place to stop: see :meth:`check`.

        Args:
            current: work done so far, in any unit, 0 or more.
            total: all the work in the same unit; None when it is not known.
            message: what is being done, for people.
            step: name of the present step.
        """
        ...

    def check(self) -> None:
        """Return at once, unless the attempt is to stop.

        Raises:
            actors.interrupts.JobInterrupted: cancelled, out of time, shutting down, or no longer ours. Let it pass.
        """
        ...

    def log(self, message: str, **fields: object) -> None:
        """Write one line to the worker's log, with the job's id, type and attempt beside it."""
        ...

    def file(self, file_id: UUID | str) -> Path:
        """Return a local path with the content of an uploaded file; read it, do not change it.

        The path is valid until the attempt ends.

        Raises:
            db.errors.NotFound: there is no such file, or it belongs to someone else than the job's owner.
        """
        ...

    def attach(
        self, content: Path | bytes | Iterable[bytes], *, name: str | None = None, media_type: str | None = None
    ) -> UUID:
        """Store a file as an output of the job; return its id. It is durable on return.

        It belongs to the job's owner, who finds it at ``GET /v1/jobs/{id}/files``. A job shows the outputs of its
        latest attempt. This call blocks: in an ``async def``, give it to a thread.

        Args:
            content: the path of a file, its bytes, or blocks of them that are stored as they come.
            name: for whoever downloads it; the path's own, or ``file``, if None.
            media_type: guessed from the name if None.

        Raises:
            actors.interrupts.JobInterrupted: as :meth:`check`. Nothing is stored for an attempt that is not ours any
                more.
            db.errors.TooLarge: it has more bytes than ``CALLBOARD_MAX_FILE_BYTES``.
            db.errors.StorageFull: there is no room for it.
            db.errors.Unavailable: storage or database cannot be reached.
            OSError: the path cannot be read.
        """
        ...
