"""How the handler's process learns that an attempt is to stop, and makes it stop."""

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
    """Reads what the worker writes into a pipe: ``<number of the attempt> <reason>``, a line each."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._current: tuple[int, Interrupter] | None = None
        self._asked: tuple[int, Interruption] | None = None
        threading.Thread(target=self._work, name="control", daemon=True).start()

    def begin(self, number: int, interrupter: Interrupter) -> None:
        """From now on this attempt runs; what has been said about it before counts too."""
        self._current = (number, interrupter)
        self._pass_on()

    def end(self) -> None:
        """From now on none runs."""
        self._current = self._asked = None

    def _work(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while True:
            if poll.poll(None if self._asked is None else _TICK):
                lines = os.read(self._descriptor, 4096).decode().splitlines()
                if not lines:
                    # The worker is gone. The guard sees it too, and leaves nothing behind.
                    os.killpg(0, signal.SIGKILL)
                number, reason = lines[-1].split()
                self._asked = (int(number), Interruption(reason))
            self._pass_on()

    def _pass_on(self) -> None:
        asked, current = self._asked, self._current
        if asked is not None and current is not None and asked[0] == current[0]:
            current[1].interrupt(asked[1])
            current[1].enforce()
