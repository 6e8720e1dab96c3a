"""One supervisor per data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from callboard.db.errors import ConfigurationError
from callboard.embedded.files import open_private


class DirectoryLock:
    """A lock on ``directory/lock``, which the kernel releases when the holder dies: it is never stale.

    The file has the pid of the last holder, and is never removed: two processes could lock two files otherwise.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self) -> None:
        """Acquire the lock, or fail at once.

        Raises:
            ConfigurationError: another process has it; the message has the directory and the pid.
            OSError: the file cannot be opened.
        """
        descriptor = open_private(self._directory / "lock", os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode().strip() or "unknown"
            os.close(descriptor)
            raise ConfigurationError(
                f"{self._directory} is in use by process {holder}. Stop that process (another 'callboard up'?), "
                "or choose another directory with --data-dir."
            ) from None
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Release the lock; no effect if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
