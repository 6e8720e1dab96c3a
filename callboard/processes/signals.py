"""How a process is told to stop."""

from __future__ import annotations

import ctypes
import os
import signal
import threading

_PR_SET_PDEATHSIG = 1


class StopSignal:
    """Set by SIGTERM or SIGINT. Made in the main thread, before anything that takes time."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())

    @property
    def is_set(self) -> bool:
        return self._stop.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds; return whether the process is to stop."""
        return self._stop.wait(timeout)


def stop_with_parent(parent: int) -> None:
    """Have this process get SIGTERM when its parent dies, ``kill -9`` included (Linux; elsewhere this does nothing).

    Args:
        parent: pid of the parent, as the parent itself passed it on; if it is gone already, so is this process.
    """
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (AttributeError, OSError):
        return
    if os.getppid() != parent:
        raise SystemExit(0)
