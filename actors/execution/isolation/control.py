"""Receives interruptions in the handler's process, and interrupts the handler."""

from __future__ import annotations

import os
import select
import signal
import threading
from typing import Final

from callboard.actors.execution.interrupts import Interrupter, Interruption

#: Milliseconds.
_TICK: Final = 100


class Control:
    """Reads interruptions from the worker's pipe, one a line: ``<number of the attempt> <reason>``."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._current: tuple[int, Interrupter] | None = None
        self._interruption: tuple[int, Interruption] | None = None
        threading.Thread(target=self._work, name="control", daemon=True).start()

    def begin(self, number: int, interrupter: Interrupter) -> None:
        """Set the attempt that runs. An interruption that came before counts, too."""
        self._current = (number, interrupter)
        self._apply()

    def end(self) -> None:
        """Record that no attempt runs."""
        self._current = self._interruption = None

    def _work(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while True:
            if poll.poll(None if self._interruption is None else _TICK):
                lines = os.read(self._descriptor, 4096).decode().splitlines()
                if not lines:
                    # The worker is gone. The guard notices that, too, and kills what is left.
                    os.killpg(0, signal.SIGKILL)
                number, reason = lines[-1].split()
                self._interruption = (int(number), Interruption(reason))
            self._apply()

    def _apply(self) -> None:
        interruption, current = self._interruption, self._current
        if interruption is not None and current is not None and interruption[0] == current[0]:
            current[1].interrupt(interruption[1])
            current[1].enforce()
