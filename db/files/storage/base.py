"""The interface of storages for uploaded files, and what they share."""

from __future__ import annotations

import hashlib
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from callboard.db.errors import StorageFull, TooLarge


@dataclass(frozen=True, slots=True)
class Stored:
    """What was stored: ``size`` in bytes, ``sha256`` as 32 bytes."""

    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object in the storage, whole or left by an upload that never ended. ``modified_at`` is UTC."""

    file_id: UUID
    modified_at: datetime


class Storage(ABC):
    """Bytes by file id, written once and never changed. Safe to share between threads.

    Every call blocks, within bounded waits, so an event loop calls it in a thread. Memory use does not depend on a
    file's size. Beside what each method names, all of them raise:

    Raises:
        Unavailable: the storage cannot be reached, or refuses; trying again later is right.
    """

    @abstractmethod
    def put(self, file_id: UUID, blocks: Iterable[bytes]) -> Stored:
        """Store the blocks, in their order, as one file; durable on return.

        No reader sees the file before that. After an error nothing is left behind; errors of ``blocks`` itself are
        passed on. The blocks are consumed in the calling thread, at the storage's pace.

        Raises:
            TooLarge: the blocks have more bytes than the limit.
            StorageFull: the storage has no space left.
        """

    @abstractmethod
    def read(self, file_id: UUID, start: int, stop: int) -> Generator[bytes, None, None]:
        """Yield the bytes from ``start`` to before ``stop``; ``0 <= start <= stop <= size``.

        A missing file raises in the call itself, not at the first block. A reader that stops early calls ``close()``.

        Raises:
            NotFound: there is no such file.
        """

    @abstractmethod
    def open_local(self, file_id: UUID, into: Path) -> Path:
        """Return a path in the directory ``into`` with the file's content, for reading only.

        It stays valid when the file is deleted meanwhile. The caller removes ``into``.

        Raises:
            NotFound: there is no such file.
            StorageFull: the disk of ``into`` has no space for it.
        """

    @abstractmethod
    def delete(self, file_id: UUID) -> None:
        """Remove the file, or what an interrupted upload left of it. A missing file is no error."""

    @abstractmethod
    def objects(self) -> Iterator[StoredObject]:
        """Yield all stored objects, in no order."""


class Metered(Iterable[bytes]):
    """Blocks on their way into a storage, counted and hashed as they pass."""

    def __init__(self, blocks: Iterable[bytes], max_bytes: int) -> None:
        self._blocks = blocks
        self._max_bytes = max_bytes
        self._size = 0
        self._sha256 = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the blocks.

        Raises:
            TooLarge: they are more than ``max_bytes`` together.
        """
        for block in self._blocks:
            self._size += len(block)
            if self._size > self._max_bytes:
                raise TooLarge(
                    f"The file is larger than {self._max_bytes:,} bytes; CALLBOARD_MAX_FILE_BYTES sets the limit."
                )
            self._sha256.update(block)
            yield block

    @property
    def stored(self) -> Stored:
        """Size and hash of the blocks so far."""
        return Stored(self._size, self._sha256.digest())


def copy_to(local: Path, blocks: Iterable[bytes]) -> Path:
    """Write the blocks to the path ``local`` atomically, and return it.

    Raises:
        StorageFull: the directory of ``local`` cannot take them.
    """
    # Threads of one handler may ask for the same file at the same time.
    descriptor, scratch = tempfile.mkstemp(dir=local.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(blocks)
        return Path(scratch).rename(local)
    except BaseException as error:
        Path(scratch).unlink()
        if isinstance(error, OSError):
            raise StorageFull(f"{local.parent} cannot take an uploaded file: {error.strerror}.") from error
        raise
