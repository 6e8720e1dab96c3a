"""Local files as uploads and downloads see them."""

from __future__ import annotations

import mimetypes
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from callboard.client.calls import Upload

Source = str | Path | IO[bytes]
"""A path, or a file open for reading in binary mode."""
Target = str | Path | IO[bytes]
"""A path, or a file open for writing in binary mode that can be sought."""


@contextmanager
def reading(source: Source, name: str | None, media_type: str | None) -> Iterator[Upload]:
    """Open what is to be sent.

    Raises:
        OSError: it cannot be opened.
    """
    if isinstance(source, str | Path):
        with Path(source).open("rb") as content:
            yield _upload(content, name or Path(source).name, media_type)
    else:
        own = getattr(source, "name", None)
        yield _upload(source, name or (Path(own).name if isinstance(own, str) else "file"), media_type)


@contextmanager
def writing(target: Target) -> Iterator[IO[bytes]]:
    """Open where bytes go. Under a path, the file is there when it is complete, and as it was before if it fails.

    Raises:
        OSError: it cannot be written.
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
