"""The attempts that run in this process, and the watch that stops those that must end."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from uuid import UUID

from actors.interrupts import Interrupter, Interruption
from actors.loop import Loop
from db.engine import Database
from db.workers import StopReason, stop_requests

AttemptKey = tuple[UUID, int]

_TICK = 0.1
_INTERRUPTION = {
    StopReason.CANCELLED: Interruption.CANCELLED,
    StopReason.LEASE_LOST: Interruption.LEASE_LOST,
}


@dataclass(frozen=True, slots=True)
class RunningAttempt:
    """A handler that runs now."""

    interrupter: Interrupter
    time_limit: float
    started: float = field(default_factory=time.monotonic)


class RunningAttempts:
    """The running attempts of the process, by job id and attempt number. Safe to use from any thread."""

    def __init__(self) -> None:
        self._attempts: dict[AttemptKey, RunningAttempt] = {}
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._attempts)

    def add(self, key: AttemptKey, attempt: RunningAttempt) -> None:
        with self._changed:
            self._attempts[key] = attempt

    def remove(self, key: AttemptKey) -> None:
        with self._changed:
            del self._attempts[key]
            self._changed.notify_all()

    def snapshot(self) -> dict[AttemptKey, RunningAttempt]:
        with self._changed:
            return dict(self._attempts)

    def interrupt_all(self, reason: Interruption) -> None:
        """Ask every handler that runs now to stop."""
        for attempt in self.snapshot().values():
            attempt.interrupter.interrupt(reason)

    def wait_until_none(self, timeout: float) -> bool:
        """Wait until nothing runs; False when something still does after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._attempts, timeout)


class Watch:
    """Stops attempts: over their time limit, cancelled, or not ours any more."""

    def __init__(self, running: RunningAttempts, database: Database, *, check_interval: float) -> None:
        """``check_interval``: seconds between two looks into the database for cancel requests."""
        self._running = running
        self._database = database
        self._check_interval = check_interval
        self._deadlines = Loop("watch-deadlines", self._enforce, interval=_TICK, jitter=0)
        # A loop of its own: a slow database must not delay time limits.
        self._requests = Loop("watch-requests", self._look_for_requests, interval=check_interval)

    def start(self) -> None:
        self._deadlines.start()
        self._requests.start()

    def stop(self) -> None:
        self._requests.stop()
        self._deadlines.stop()

    def _enforce(self) -> None:
        now = time.monotonic()
        for attempt in self._running.snapshot().values():
            if now - attempt.started > attempt.time_limit:
                attempt.interrupter.interrupt(Interruption.TIME_LIMIT)
            attempt.interrupter.enforce()

    def _look_for_requests(self) -> None:
        # An attempt younger than this cannot have been cancelled long ago; short jobs are never asked about.
        settled = time.monotonic() - self._check_interval / 2
        held = {key: attempt for key, attempt in self._running.snapshot().items() if attempt.started < settled}
        if not held:
            return
        with self._database.begin() as connection:
            requests = stop_requests(connection, held)
        for key, reason in requests.items():
            held[key].interrupter.interrupt(_INTERRUPTION[reason])
