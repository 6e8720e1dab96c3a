"""What a handler gets beside its payload: the :class:`Run` of this attempt."""

from __future__ import annotations

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
