"""Private files of the data directory, safe to write as root in a directory of another user."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def open_private(path: Path, flags: int) -> int:
    """Open ``path`` and return the descriptor; a new file has mode 0600 and the owner of its directory.

    Symbolic links are refused: as root they could lead anywhere.

    Raises:
        OSError: as ``os.open``.
    """
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags | os.O_NOFOLLOW)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` atomically by a file of mode 0600, which is on disk on return."""
    scratch = path.with_name(f"{path.name}.new")
    with suppress(FileNotFoundError):
        scratch.unlink()
    with open(open_private(scratch, os.O_WRONLY), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Sync a directory: files that were created or renamed in it stay so after a crash."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
