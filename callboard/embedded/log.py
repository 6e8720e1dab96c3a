"""The server's log file, of bounded size."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from callboard.embedded.files import open_private

_MOST_BYTES = 8 * 2**20
# Enough for the lines that an error message shows.
_TAIL_BYTES = 16 * 2**10


class ServerLog:
    """The log in ``path`` and, once that exceeds ``most_bytes``, an older part in ``path.1``."""

    def __init__(self, path: Path, *, most_bytes: int = _MOST_BYTES) -> None:
        self.path = path
        self._most_bytes = most_bytes

    @contextmanager
    def open(self) -> Iterator[int]:
        """Yield a descriptor that appends, also after :meth:`trim`."""
        descriptor = open_private(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def size(self) -> int:
        """Return its size in bytes; 0 if there is no log yet."""
        return self.path.stat().st_size if self.path.exists() else 0

    def trim(self) -> None:
        """Move the content to ``path.1`` if it is too long. The server keeps its descriptor, so the file stays."""
        if self.size() <= self._most_bytes:
            return
        older = self.path.with_name(f"{self.path.name}.1")
        older.unlink(missing_ok=True)
        with self.path.open("rb") as source, os.fdopen(open_private(older, os.O_WRONLY), "wb") as target:
            shutil.copyfileobj(source, target)
        os.truncate(self.path, 0)

    def text_from(self, offset: int) -> str:
        """Return the text after the byte ``offset``, at most its last 16 KiB."""
        with self.path.open("rb") as file:
            file.seek(max(offset, self.size() - _TAIL_BYTES))
            return file.read().decode(errors="replace")
