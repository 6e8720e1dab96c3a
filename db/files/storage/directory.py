"""Uploaded files in a local directory, or one that several machines mount.

Written here rather than through the object store library that serves buckets: that one does not fsync, so an accepted
upload could be lost with the power, and reads ten times slower.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from callboard.db.errors import ConfigurationError, NotFound, StorageFull, Unavailable
from callboard.db.files.storage.base import Metered, Storage, Stored, StoredObject, copy_to

_BLOCK: Final = 2**18
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Another file system, one without hard links, or a file of another user.
_NO_LINK: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})
# An upload that has not ended; its name is the file's id before this suffix.
_PARTIAL: Final = ".part"


class DirectoryStorage(Storage):
    """One file each, named by its id, readable by this process's user alone."""

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        """``max_bytes`` is the largest file that is taken.

        Raises:
            ConfigurationError: the directory cannot be made or written.
        """
        self._directory = directory
        self._max_bytes = max_bytes
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            raise ConfigurationError(
                f"Uploaded files cannot be kept in {directory}: {error.strerror}. "
                "Make it writable, or set CALLBOARD_FILES_URL to another place."
            ) from error

    def put(self, file_id: UUID, blocks: Iterable[bytes]) -> Stored:
        metered = Metered(blocks, self._max_bytes)
        partial = self._partial(file_id)
        with self._errors_named():
            # Nobody may write to it later: the path that open_local returns is the same file.
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.writelines(metered)
                    file.flush()
                    os.fsync(file.fileno())
                partial.rename(self._path(file_id))
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            _sync_names(self._directory)
        return metered.stored

    def read(self, file_id: UUID, start: int, stop: int) -> Generator[bytes, None, None]:
        blocks = self._blocks(file_id, start, stop - start)
        # A generator that has not begun would not close its file.
        next(blocks)
        return blocks

    def _blocks(self, file_id: UUID, start: int, count: int) -> Generator[bytes, None, None]:
        with self._errors_named(file_id):
            file = self._path(file_id).open("rb")
        with file, self._errors_named():
            file.seek(start)
            yield b""
            while count > 0 and (block := file.read(min(_BLOCK, count))):
                count -= len(block)
                yield block

    def open_local(self, file_id: UUID, into: Path) -> Path:
        local = into / str(file_id)
        with self._errors_named(file_id):
            try:
                os.link(self._path(file_id), local)
            except FileExistsError:
                return local
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                return copy_to(local, self.read(file_id, 0, self._path(file_id).stat().st_size))
        return local

    def delete(self, file_id: UUID) -> None:
        with self._errors_named():
            self._path(file_id).unlink(missing_ok=True)
            self._partial(file_id).unlink(missing_ok=True)

    def objects(self) -> Iterator[StoredObject]:
        with self._errors_named(), os.scandir(self._directory) as entries:
            for entry in entries:
                try:
                    file_id = UUID(entry.name.removesuffix(_PARTIAL))
                    modified_at = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
                except (ValueError, FileNotFoundError):  # not ours, or just deleted
                    continue
                yield StoredObject(file_id, modified_at)

    def _path(self, file_id: UUID) -> Path:
        return self._directory / str(file_id)

    def _partial(self, file_id: UUID) -> Path:
        return self._directory / f"{file_id}{_PARTIAL}"

    @contextmanager
    def _errors_named(self, file_id: UUID | None = None) -> Iterator[None]:
        """Turn errors of the file system into the domain's; ``file_id`` is the file that must be there."""
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and file_id is not None and self._directory.is_dir():
                raise NotFound(f"There is no file {file_id}.") from error
            if error.errno in _NO_ROOM:
                raise StorageFull("The disk for uploaded files is full.") from error
            raise Unavailable(f"The directory of uploaded files does not serve: {error.strerror or error}.") from error


def _sync_names(directory: Path) -> None:
    """Bring a directory's names to disk: a file's own fsync does not."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
