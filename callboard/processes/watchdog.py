"""A watchdog: a process writes to it while Python code runs there; its supervisor measures the silence.

A process that is suspended, or in which C code holds the interpreter's lock, is silent. It cannot notice that itself.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

#: Seconds between two bytes of a process that does not hang.
_INTERVAL: Final = 0.5
#: Seconds. If the supervisor has not read for longer, it was suspended itself, perhaps with the machine.
_LONGEST_ABSENCE: Final = 1.0
#: Seconds for an interpreter to start and write its first byte, on a busy machine.
_LONGEST_START: Final = 60.0


class Watchdog:
    """The supervisor's end of a pipe into which the process writes."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._readable, self.descriptor = os.pipe()
        """``descriptor``: the process's end; :meth:`close_descriptor` closes it here."""
        os.set_blocking(self._readable, False)
        self._read_at = clock()
        self._fed = False
        self._silence = 0.0

    def close_descriptor(self) -> None:
        """Close the supervisor's copy of :attr:`descriptor`, once the process has been started with it."""
        os.close(self.descriptor)

    def silence(self) -> float:
        """Read the pipe; return the seconds since the last byte, without those in which the supervisor was suspended.

        Before the first byte the count begins a minute after the start, as long as that may take on a busy machine.
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
    """Write to the supervisor's :class:`Watchdog` until the end of the block.

    A process that does not end after the block counts as hanging.

    Args:
        descriptor: that of the watchdog.
        interval: seconds between two bytes.
    """
    os.set_blocking(descriptor, False)
    ended = threading.Event()

    def feed() -> None:
        with suppress(BrokenPipeError):  # the supervisor is gone, and this process gets SIGTERM
            while not ended.is_set():
                with suppress(BlockingIOError):  # the supervisor is suspended
                    os.write(descriptor, b".")
                ended.wait(interval)

    threading.Thread(target=feed, name="watchdog", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
