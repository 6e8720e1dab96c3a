"""A watchdog: a process feeds it for as long as Python runs in it; its supervisor reads how long it has been silent.

A process that is suspended, or in which C code holds the interpreter's lock, is silent. It can notice neither itself.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

#: Seconds between two bytes of a process that is alive.
_INTERVAL: Final = 0.5
#: The supervisor did not read for longer than this: it was suspended itself, perhaps with all the machine.
_LONGEST_ABSENCE: Final = 1.0
#: Seconds for the start of an interpreter until its first byte, on a busy machine.
_LONGEST_START: Final = 60.0


class Watchdog:
    """The supervisor's end: a pipe into which the process writes."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._readable, self.descriptor = os.pipe()
        """``descriptor``: for the process; :meth:`hand_over` closes it here."""
        os.set_blocking(self._readable, False)
        self._read_at = clock()
        self._fed = False
        self._silence = 0.0

    def hand_over(self) -> None:
        """Close this side's copy of :attr:`descriptor`, once the process has been started with it."""
        os.close(self.descriptor)

    def silence(self) -> float:
        """Read the pipe; return the seconds since the last byte, without those in which nobody read.

        Before the first byte the count begins a minute after the start, which may take that long on a busy machine.
        """
        now = self._clock()
        self._silence += min(now - self._read_at, _LONGEST_ABSENCE)
        self._read_at = now
        with suppress(BlockingIOError):
            if os.read(self._readable, 4096):
                self._fed, self._silence = True, 0.0
        return self._silence if self._fed else max(0.0, self._silence - _LONGEST_START)

    def close(self) -> None:
        os.close(self._readable)


@contextmanager
def feeding_watchdog(descriptor: int, *, interval: float = _INTERVAL) -> Iterator[None]:
    """Feed the supervisor's :class:`Watchdog` until the end of the block.

    A process that does not end after the block hangs, as far as its supervisor can tell.

    Args:
        descriptor: of the watchdog.
        interval: seconds between two bytes.
    """
    os.set_blocking(descriptor, False)
    ended = threading.Event()

    def feed() -> None:
        with suppress(BrokenPipeError):  # the supervisor is gone, and this process is told to stop
            while not ended.is_set():
                with suppress(BlockingIOError):  # the supervisor is suspended
                    os.write(descriptor, b".")
                ended.wait(interval)

    threading.Thread(target=feed, name="watchdog", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
