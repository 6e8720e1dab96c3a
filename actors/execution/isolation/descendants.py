"""The descendants of a process. Linux only; elsewhere there seem to be none."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")


def descendants(pid: int) -> list[int]:
    """Return the pids of all descendants of ``pid``: parents before children."""
    pids = _children(pid)
    for child in pids:
        pids.extend(_children(child))
    return pids


def _children(pid: int) -> list[int]:
    pids: list[int] = []
    # A thread or process that ends meanwhile has no children any more.
    with suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                pids.extend(map(int, (task / "children").read_text(encoding="ascii").split()))
    return pids
