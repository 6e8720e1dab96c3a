"""The processes below a process, and what memory they have. Linux; elsewhere there seem to be none."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
#: Memory that is a process's own, or made by it; not what it maps from files.
_OWN: Final = ("RssAnon:", "RssShmem:", "VmSwap:")


def descendants(pid: int) -> list[int]:
    """Return the pids of all processes below ``pid``: children before their own."""
    found = _children(pid)
    for child in found:
        found.extend(_children(child))
    return found


def memory_of(pid: int) -> int:
    """Return the bytes of memory that a process has of its own: anonymous and shared memory, in RAM or swapped out."""
    with suppress(OSError):
        lines = (_PROC / str(pid) / "status").read_text(encoding="ascii", errors="replace").splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_OWN))
    return 0


def _children(pid: int) -> list[int]:
    found: list[int] = []
    # Whoever ends meanwhile has no children any more.
    with suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                found.extend(map(int, (task / "children").read_text(encoding="ascii").split()))
    return found
