"""Processes that wait for their next attempt."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from callboard.actors.execution.isolation.process import HandlerProcess
from callboard.actors.loop import Loop
from callboard.db.settings import Settings

#: A process that has grown by more is not used again: what it has piled up would count against the next job.
_MOST_GROWTH: Final = 256 * 2**20
#: The same, as a share of the next job's limit.
_SHARE_OF_LIMIT: Final = 0.25
_IDLE_FOR: Final = 60.0


class ProcessPool:
    """Starts handlers' processes, and keeps those for the next attempt that are as good as new.

    So there are at most as many as attempts run at a time. Safe to use from any thread.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._idle: deque[HandlerProcess] = deque()
        self._closed = False
        self._sweep: Loop | None = None

    def take(self, memory_limit: int | None) -> HandlerProcess:
        """Return a process for an attempt with this memory limit; if none fits, a new one, which has not loaded yet.

        Raises:
            HandlerProcessDied: it could not be started.
        """
        most_growth = _MOST_GROWTH if memory_limit is None else min(_MOST_GROWTH, memory_limit * _SHARE_OF_LIMIT)
        while (process := self._pop()) is not None:
            if process.alive and process.growth <= most_growth:
                return process
            process.end()
        return HandlerProcess(self._settings)

    def give_back(self, process: HandlerProcess) -> None:
        """Take a process whose attempt has ended in good order; end it unless it is as good as new."""
        if process.alive and process.alone and process.growth <= _MOST_GROWTH:
            process.used_at = time.monotonic()
            with self._lock:
                if not self._closed:
                    self._idle.append(process)
                    self._begin_to_sweep()
                    return
        process.end()

    def close(self) -> None:
        """End the processes that wait, and those given back from now on."""
        with self._lock:
            self._closed = True
            idle = list(self._idle)
            self._idle.clear()
        if self._sweep is not None:
            self._sweep.stop()
        for process in idle:
            process.end()

    def _pop(self) -> HandlerProcess | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _begin_to_sweep(self) -> None:
        if self._sweep is None:
            self._sweep = Loop("idle handler processes", self._end_idle, interval=_IDLE_FOR / 4)
            self._sweep.start()

    def _end_idle(self) -> None:
        # The one that was used last is taken first, so those that are not needed are at the left.
        before = time.monotonic() - _IDLE_FOR
        idle = []
        with self._lock:
            while self._idle and self._idle[0].used_at < before:
                idle.append(self._idle.popleft())
        for process in idle:
            process.end()
