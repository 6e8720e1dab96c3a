"""The descendants of a process, and their memory. Linux only; elsewhere there seem to be none."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
#: Memory that a process has allocated; without what it maps from files.
_OWN: Final = ("RssAnon:", "RssShmem:", "VmSwap:")


def descendants(pid: int) -> list[int]:
    """Return the pids of all descendants of ``pid``: parents before children."""
    pids = _children(pid)
    for child in pids:
        pids.extend(_children(child))
    return pids


def memory_of(pid: int) -> int:
    """Return the bytes of anonymous and shared memory of a process, in RAM or swapped out."""
    with suppress(OSError):
        lines = (_PROC / str(pid) / "status").read_text(encoding="ascii", errors="replace").splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_OWN))
    return 0


def _children(pid: int) -> list[int]:
    pids: list[int] = []
    # A thread or process that ends meanwhile has no children any more.
    with suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                pids.extend(map(int, (task / "children").read_text(encoding="ascii").split()))
    return pids
