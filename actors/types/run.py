"""The :class:`Run`, which a handler gets beside its payload."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID


class Run(Protocol):
    """One attempt of one job, as its handler sees it. For all threads of the handler."""

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
        """Time at which the time limit ends this attempt (UTC), or None without a limit."""
        ...

    def progress(
        self, current: float, total: float | None = None, message: str | None = None, *, step: str | None = None
    ) -> None:
        """Report how far the work is. Cheap: a few reports a second are stored, and the last one always is.

        Also checks whether to stop, as :meth:`check`.

        Args:
            current: work done so far, in any unit, 0 or more.
            total: all work, in the same unit; None if unknown.
            message: a description of the current work, for people.
            step: name of the current step.
        """
        ...

    def check(self) -> None:
        """Return at once, unless the attempt is to stop.

        Raises:
            JobInterrupted: cancelled, over its time limit, shutting down, or fenced out. Let it propagate.
        """
        ...

    def log(self, message: str, /, **fields: object) -> None:
        """Write one line to the worker's log, with the job's id, type and attempt. Raises nothing.

        Args:
            message: what the line says.
            fields: values that stand beside it. A name that the log uses itself (``event``, ``level``, ``job_id`` and
                the like) gets an underscore at its end.
        """
        ...

    def file(self, file_id: UUID | str) -> Path:
        """Return the path of a local copy of an uploaded file. Do not change it.

        The path is valid until the attempt ends.

        Raises:
            NotFound: there is no such file, or it belongs to another owner than the job.
        """
        ...

    def attach(
        self, content: Path | bytes | Iterable[bytes], *, name: str | None = None, media_type: str | None = None
    ) -> UUID:
        """Store a file as an output of the job, durable on return; return its id.

        It belongs to the job's owner, who finds it at ``GET /v1/jobs/{id}/files``. A job shows the outputs of its
        latest attempt. This call blocks: in an ``async def``, use ``asyncio.to_thread``.

        Args:
            content: the path of a file, bytes, or an iterable of blocks, which are stored as they come.
            name: of the download; None for that of the path, or ``file``.
            media_type: None to guess it from the name.

        Raises:
            JobInterrupted: as :meth:`check`. Nothing is stored for an attempt that was fenced out.
            TooLarge: the content has more bytes than ``CALLBOARD_MAX_FILE_BYTES``.
            StorageFull: the storage is full.
            Unavailable: storage or database cannot be reached.
            OSError: the path cannot be read.
        """
        ...

    def checkpoint(self, data: Any) -> None:
        """Store the state of the work for a later attempt, durable on return.

        It replaces the last checkpoint. It can be called after an interruption, too. Each call is a transaction and
        blocks: call it after parts of the work, not after each row; in an ``async def``, use ``asyncio.to_thread``.

        Args:
            data: any value with a JSON form of at most 1 MiB.

        Raises:
            JobInterrupted: the attempt was fenced out. Nothing is stored.
            InvalidInput: the data has no JSON form, or one that would not be given back as it is: with NaN, an
                infinity, an integer beyond 64 bits, a NUL character, two keys of one name. The message says where.
            TooLarge: its JSON has more than 1 MiB.
            Unavailable: the attempt is to stop, and the database cannot be reached. Before the attempt is to stop, the
                call waits for the database.
        """
        ...

    @property
    def restored(self) -> Any:
        """Data of the last checkpoint of an earlier attempt, as plain JSON types, or None. The first read blocks."""
        ...

    def once(self, key: str, function: Callable[[], Any]) -> Any:
        """Return the result of a step: stored by an earlier attempt, or else that of ``function()``, which is stored.

        The result is durable on return, for as long as the job may run again. If the process dies during the function,
        the next attempt calls it again: send :meth:`token` to services that accept an idempotency key. Blocks, as
        :meth:`checkpoint`.

        Args:
            key: name of the step in this job, 1 to 200 characters; not for two threads at a time.
            function: does the step, and returns a value with a JSON form of at most 1 MiB.

        Returns:
            The result as plain JSON types, also the first time.

        Raises:
            JobInterrupted: as :meth:`check`, before the function is called; and if the attempt was fenced out.
            InvalidInput: the key is too long, or the result cannot be stored, as for :meth:`checkpoint`.
            TooLarge: the result has more than 1 MiB.
            Unavailable: as :meth:`checkpoint`.
        """
        ...

    def token(self, key: str) -> UUID:
        """Return an id that is the same in all attempts of this job: an idempotency key for another service."""
        ...
