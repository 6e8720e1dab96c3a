"""Files of one attempt: its temporary folder, and the content that it attaches."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_BLOCK: Final = 2**20


class TemporaryFolder:
    """A folder for files that only one attempt needs. It is made when it is first used."""

    def __init__(self) -> None:
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        if self._path is None:
            self._path = Path(tempfile.mkdtemp(prefix="callboard-"))
        return self._path

    def close(self) -> None:
        """Remove the folder, if there is one."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(self._path)


def blocks_of(content: Path | bytes | Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content to attach, block by block; a file in blocks of 1 MiB."""
    if isinstance(content, Path):
        with content.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
    elif isinstance(content, bytes):
        yield content
    else:
        yield from content
