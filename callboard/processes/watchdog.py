"""Signs of life: a process gives some for as long as Python runs in it, and its supervisor listens.

A process that is suspended, or in which C code holds the interpreter's lock, gives none. Both are out of reach of
everything that runs inside it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_EVERY: Final = 0.5
#: The supervisor was not there to listen for longer than this: it was suspended itself, perhaps with all the machine.
_LONGEST_ABSENCE: Final = 1.0
#: Seconds for the start of an interpreter until the first sign, on a busy machine.
_LONGEST_START: Final = 60.0


class Pulse:
    """The supervisor's end."""

    def __init__(self) -> None:
        self._readable, self.descriptor = os.pipe()
        """``descriptor``: for the process; :meth:`hand_over` closes it here."""
        os.set_blocking(self._readable, False)
        self._listened_at = time.monotonic()
        self._heard = False
        self._silence = 0.0

    def hand_over(self) -> None:
        """Call it once the process has been started with :attr:`descriptor`."""
        os.close(self.descriptor)

    def silence(self) -> float:
        """Listen; return the seconds since the last sign of life, without those in which nobody listened.

        Before the first one it begins a minute after the start, which takes its time on a busy machine.
        """
        now = time.monotonic()
        self._silence += min(now - self._listened_at, _LONGEST_ABSENCE)
        self._listened_at = now
        with suppress(BlockingIOError):
            if os.read(self._readable, 4096):
                self._heard, self._silence = True, 0.0
        return self._silence if self._heard else max(0.0, self._silence - _LONGEST_START)

    def close(self) -> None:
        os.close(self._readable)


@contextmanager
def signs_of_life(descriptor: int) -> Iterator[None]:
    """Give signs of life until the end of the block; ``descriptor``: of the supervisor's :class:`Pulse`.

    What keeps a process from ending after the block counts as standing still.
    """
    os.set_blocking(descriptor, False)
    ended = threading.Event()

    def beat() -> None:
        with suppress(BrokenPipeError):  # the supervisor is gone, and this process is told to stop
            while not ended.is_set():
                with suppress(BlockingIOError):  # the supervisor is suspended
                    os.write(descriptor, b".")
                ended.wait(_EVERY)

    threading.Thread(target=beat, name="pulse", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
