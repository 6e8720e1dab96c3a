"""The limit of a handler's memory, in a file that its worker and its guard share.

The guard measures and kills, as it has an interpreter for itself: a worker whose threads all run may not come to it for
seconds. What rises and falls between two of its looks shows in the kernel's high-water mark.
"""

from __future__ import annotations

import os
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callboard.actors.execution.isolation.descendants import descendants

_PROC: Final = Path("/proc")

#: The worker writes the number of the attempt, and its limit in bytes (0: none).
_WANTED: Final = struct.Struct("=QQ")
#: The guard writes the number of the attempt, with how many bytes it was killed (0: it was not), and the most bytes of
#: files that its process had mapped.
_FOUND: Final = struct.Struct("=QQQ")

#: Seconds between two looks; longer if a look takes more than this share of the time.
_LOOK_EVERY: Final = 0.025
_MOST_OF_TIME: Final = 0.05

# The high-water mark counts mapped files, too, which are no part of the limit. What the guard has seen of them is taken
# off; so much may have come and gone between two looks.
_SLACK_SHARE: Final = 0.25
_LEAST_SLACK: Final = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of memory of a process; 0 if it has ended, or the system is not Linux."""

    own: int = 0
    """What it has allocated, in RAM or swapped out; without what it maps from files."""
    files: int = 0
    """What it maps from files."""
    peak: int = 0
    """The most that was in RAM since :func:`reset_peak`, files included."""


def memory_of(pid: int) -> Memory:
    """Return the memory of a process."""
    sizes: dict[bytes, int] = {}
    with suppress(OSError):
        for line in (_PROC / str(pid) / "status").read_bytes().splitlines():
            name, _, value = line.partition(b":")
            if name in {b"RssAnon", b"RssShmem", b"RssFile", b"VmSwap", b"VmHWM"}:
                sizes[name] = int(value.split()[0]) * 1024
    own = sum(sizes.get(name, 0) for name in (b"RssAnon", b"RssShmem", b"VmSwap"))
    return Memory(own, sizes.get(b"RssFile", 0), sizes.get(b"VmHWM", 0))


def memory_below(pid: int) -> int:
    """Return the bytes that all descendants of a process have allocated."""
    return sum(memory_of(each).own for each in descendants(pid))


def reset_peak(pid: int) -> bool:
    """Let the peak of a process begin anew; return whether the kernel can."""
    try:
        (_PROC / str(pid) / "clear_refs").write_bytes(b"5")
    except OSError:
        return False
    return True


def kernel_kills() -> int | None:
    """Return how many processes the kernel has killed for want of memory; None if it does not say."""
    with suppress(OSError):
        for line in (_PROC / "vmstat").read_bytes().splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return None


class WorkersMemoryLimit:
    """The worker's side: it sets the limit, and learns whether it was exceeded."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        # Now, where a full disk prevents the start, and not an attempt.
        os.pwrite(descriptor, bytes(_WANTED.size + _FOUND.size), 0)
        self._number = 0
        self._limit = 0
        self._has_peak = False

    def begin(self, pid: int, number: int, limit: int | None) -> None:
        """Set the limit (bytes) of the attempt that is about to begin in process ``pid``."""
        self._number, self._limit = number, limit or 0
        if limit is not None:
            self._has_peak = reset_peak(pid)
        os.pwrite(self._descriptor, _WANTED.pack(number, self._limit), 0)

    def excess(self, pid: int) -> int | None:
        """Return the bytes of memory of the attempt that has ended, if those were above its limit, which ends."""
        if not self._limit:
            return None
        os.pwrite(self._descriptor, _WANTED.pack(self._number, 0), 0)
        number, killed_with, files = _read(self._descriptor, _FOUND, _WANTED.size)
        if number != self._number:
            files = killed_with = 0
        if killed_with:
            return killed_with
        now = memory_of(pid)
        peak = now.peak - max(files, now.files) if self._has_peak else 0
        return peak if peak > self._limit + max(_LEAST_SLACK, self._limit * _SLACK_SHARE) else None


class GuardsMemoryLimit:
    """The guard's side: it looks again and again."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._number = 0
        self._files = 0
        self.pause = _LOOK_EVERY
        """Seconds until the next look is due."""

    def exceeded(self, guarded: int) -> bool:
        """Measure what is below this process; return whether it is too much, and then tell the worker how much."""
        number, limit = _read(self._descriptor, _WANTED, 0)
        if not limit:
            return False
        began = time.monotonic()
        if number != self._number:
            self._number, self._files = number, 0
        own = memory_below(os.getpid())
        self._files = max(self._files, memory_of(guarded).files)
        exceeded = own > limit
        found = _FOUND.pack(number, own if exceeded else 0, self._files)
        os.pwrite(self._descriptor, found, _WANTED.size)
        self.pause = max(_LOOK_EVERY, (time.monotonic() - began) / _MOST_OF_TIME)
        return exceeded


def _read(descriptor: int, numbers: struct.Struct, offset: int) -> tuple[int, ...]:
    read = os.pread(descriptor, numbers.size, offset)
    return numbers.unpack(read.ljust(numbers.size, b"\0"))
