"""Local files as uploads and downloads use them."""

from __future__ import annotations

import mimetypes
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, TypeVar

Source = str | Path | IO[bytes]
"""A path, or a file open for reading in binary mode."""
Target = str | Path | IO[bytes]
"""A path, or a file open for writing in binary mode."""

W = TypeVar("W", bound="Writer")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send as the form field ``file``."""

    name: str
    content: IO[bytes]
    media_type: str

    def rewind(self) -> bool:
        """Go back to the start of the file. Returns False if the file cannot be sought."""
        if not self.content.seekable():
            return False
        self.content.seek(0)
        return True


class Writer(Protocol):
    """Anything that takes bytes, such as a file open for writing in binary mode."""

    def write(self, data: bytes, /) -> object: ...


class Sink:
    """Receives the body of a response once: one that broke off is not overwritten by a second one."""

    def __init__(self, writer: Writer, *, media_type: str | None = None) -> None:
        """
        Args:
            writer: receives the bytes.
            media_type: the only media type of responses to write; None: any.
        """
        self._writer = writer
        self._media_type = media_type
        self._written = False

    def accepts(self, media_type: str) -> bool:
        """Whether a body of this media type is written."""
        return self._media_type in {None, media_type}

    def write(self, chunk: bytes) -> None:
        self._written = True
        self._writer.write(chunk)

    def rewind(self) -> bool:
        """Return whether another response may be written."""
        return not self._written


class FileSink(Sink):
    """Receives the body of a response into a file, from the start again if the body broke off."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self._file = file
        self._start = file.tell() if file.seekable() else None

    def rewind(self) -> bool:
        """Drop what was written. Returns False if the file cannot be sought."""
        if self._written and self._start is not None:
            self._file.seek(self._start)
            self._file.truncate()
            self._written = False
        return super().rewind()


@contextmanager
def reading(source: Source, name: str | None, media_type: str | None) -> Iterator[Upload]:
    """Open a file to send.

    Raises:
        OSError: ``source`` cannot be opened.
    """
    if isinstance(source, str | Path):
        with Path(source).open("rb") as content:
            yield _upload(content, name or Path(source).name, media_type)
    else:
        own = getattr(source, "name", None)
        yield _upload(source, name or (Path(own).name if isinstance(own, str) else "file"), media_type)


@contextmanager
def writing(target: str | Path | W) -> Iterator[W | IO[bytes]]:
    """Open a file to write. A path names the file once it is complete; after a failure, the path is as it was.

    Raises:
        OSError: ``target`` cannot be written.
    """
    if not isinstance(target, str | Path):
        yield target
        return
    path = Path(target)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:100]}.", delete=False) as part:
        try:
            yield part.file
            part.flush()
            Path(part.name).replace(path)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise


def _upload(content: IO[bytes], name: str, media_type: str | None) -> Upload:
    guessed = mimetypes.guess_type(name)[0]
    return Upload(name, content, media_type or guessed or "application/octet-stream")
