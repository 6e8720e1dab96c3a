"""Signals that stop a process."""

from __future__ import annotations

import ctypes
import os
import select
import signal

_PR_SET_PDEATHSIG = 1


class StopSignal:
    """Set by SIGTERM or SIGINT; a second one means: hurry. Constructed first, in the main thread.

    It wakes the main thread through a pipe. A handler that sets a ``threading.Event`` would hang on the event's lock if
    it interrupts the main thread while that acquires the lock to wait.
    """

    def __init__(self) -> None:
        self._count = 0
        self._readable, self._writable = os.pipe()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    @property
    def is_set(self) -> bool:
        return self._count > 0

    @property
    def hurried(self) -> bool:
        """Whether there was more than one signal."""
        return self._count > 1

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds; return whether the process is to stop."""
        if not self.is_set:
            select.select([self._readable], [], [], timeout)
        return self.is_set

    def close(self) -> None:
        """Close the pipe. No signal may come afterwards."""
        os.close(self._readable)
        os.close(self._writable)

    def _note(self, *_: object) -> None:
        self._count += 1
        if self._count == 1:
            os.write(self._writable, b"!")


def stop_with_parent(parent: int) -> None:
    """Have this process get SIGTERM when its parent dies in any way (Linux; elsewhere this does nothing).

    Args:
        parent: pid of the parent, as it passed it on. If it is gone already, this process ends.
    """
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (AttributeError, OSError):
        return
    if os.getppid() != parent:
        raise SystemExit(0)
