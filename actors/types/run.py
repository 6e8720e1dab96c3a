"""What a handler gets beside its payload: the :class:`Run` of this attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
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
            JobInterrupted: cancelled, out of time, shutting down, or no longer ours. Let it pass.
        """
        ...

    def log(self, message: str, **fields: object) -> None:
        """Write one line to the worker's log, with the job's id, type and attempt beside it."""
        ...

    def file(self, file_id: UUID | str) -> Path:
        """Return a local path with the content of an uploaded file; read it, do not change it.

        The path is valid until the attempt ends.

        Raises:
            NotFound: there is no such file, or it belongs to someone else than the job's owner.
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
            JobInterrupted: as :meth:`check`. Nothing is stored for an attempt that is not ours any
                more.
            TooLarge: it has more bytes than ``CALLBOARD_MAX_FILE_BYTES``.
            StorageFull: there is no room for it.
            Unavailable: storage or database cannot be reached.
            OSError: the path cannot be read.
        """
        ...

    def checkpoint(self, data: Any) -> None:
        """Store where the work stands, for the attempt that may have to go on from here; it is durable on return.

        It replaces the one before. Not a place to stop: a handler that was told to may still call it. This call is a
        transaction and blocks: call it at the ends of parts, not of rows; in an ``async def``, give it to a thread.

        Args:
            data: what has a JSON form, at most 1 MiB of it.

        Raises:
            JobInterrupted: the attempt is not ours any more. Nothing is stored.
            InvalidInput: the data has no JSON form.
            TooLarge: it has more than 1 MiB.
            Unavailable: the attempt is to stop, and the database cannot be reached. Without the first, the
                call waits for the second.
        """
        ...

    @property
    def restored(self) -> Any:
        """Data of the last checkpoint of an earlier attempt, as plain JSON types, or None. Blocks when first read."""
        ...

    def once(self, key: str, function: Callable[[], Any]) -> Any:
        """Return what ``function()`` returned in the attempt that completed it; call it if none has.

        Its result is durable on return, for as long as the job may run again. A process that dies inside leaves
        nothing, so the next attempt calls the function again: hand :meth:`token` to a service that can tell. Blocks,
        as :meth:`checkpoint`.

        Args:
            key: which part of the job this is, 1 to 200 characters; not to be used by two threads at a time.
            function: does it and returns what has a JSON form, at most 1 MiB of it.

        Returns:
            The result as plain JSON types, the first time too.

        Raises:
            JobInterrupted: as :meth:`check`, before the function is called; and when the attempt is
                not ours any more.
            InvalidInput: the key is too long, or the result has no JSON form.
            TooLarge: the result has more than 1 MiB.
            Unavailable: as :meth:`checkpoint`.
        """
        ...

    def token(self, key: str) -> UUID:
        """Return an id that is the same in all attempts of this job: an idempotency key for an outside service."""
        ...
