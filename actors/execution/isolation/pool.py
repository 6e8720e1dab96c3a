"""A pool of handlers' processes, which wait for their next attempt."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

from callboard.actors.execution.isolation.process import HandlerProcess
from callboard.actors.execution.process_state import ProcessState
from callboard.actors.loop import Loop
from callboard.db.settings import Settings

#: Bytes. A process that has grown by more is not used again: its memory would count against the next job.
_MOST_GROWTH: Final = 256 * 2**20
#: The same, as a share of the next job's limit.
_SHARE_OF_LIMIT: Final = 0.25
_IDLE_FOR: Final = 60.0


class ProcessPool:
    """Starts handlers' processes, and keeps those that can be used for another attempt.

    There are at most as many processes as attempts at a time. For any thread.
    """

    def __init__(self, settings: Settings, process_state: ProcessState) -> None:
        """``process_state``: what the processes begin with."""
        self._settings = settings
        self._process_state = process_state
        self._lock = threading.Lock()
        self._idle: deque[HandlerProcess] = deque()
        self._closed = False
        self._sweeper: Loop | None = None

    def acquire(self, memory_limit: int | None) -> HandlerProcess:
        """Return a process for an attempt with this memory limit (bytes); a new one, not loaded yet, if none fits.

        Raises:
            HandlerProcessDied: it could not be started.
        """
        most_growth = _MOST_GROWTH if memory_limit is None else min(_MOST_GROWTH, memory_limit * _SHARE_OF_LIMIT)
        while (process := self._pop()) is not None:
            if process.alive and process.growth <= most_growth:
                return process
            process.end()
        return HandlerProcess(self._settings, self._process_state)

    def release(self, process: HandlerProcess) -> None:
        """Take back a process whose attempt was clean; end it if it has grown or left a process of its own."""
        if process.alive and process.alone and process.growth <= _MOST_GROWTH:
            process.used_at = time.monotonic()
            with self._lock:
                if not self._closed:
                    self._idle.append(process)
                    self._start_sweeper()
                    return
        process.end()

    def close(self) -> None:
        """End the processes that wait, and those released from now on."""
        with self._lock:
            self._closed = True
            idle = list(self._idle)
            self._idle.clear()
        if self._sweeper is not None:
            self._sweeper.stop()
        for process in idle:
            process.end()

    def _pop(self) -> HandlerProcess | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _start_sweeper(self) -> None:
        if self._sweeper is None:
            self._sweeper = Loop("idle handler processes", self._end_idle, interval=_IDLE_FOR / 4)
            self._sweeper.start()

    def _end_idle(self) -> None:
        # The process that was used last is acquired first: those that are not needed are at the left.
        before = time.monotonic() - _IDLE_FOR
        idle = []
        with self._lock:
            while self._idle and self._idle[0].used_at < before:
                idle.append(self._idle.popleft())
        for process in idle:
            process.end()
