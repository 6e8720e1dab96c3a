"""The attempts that run in this process, and the watch that stops those that must end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from callboard.actors.execution.interrupts import Interruption, StopRequest
from callboard.actors.loop import Loop
from callboard.db.fleet.workers import StopReason, stop_requests
from callboard.db.rules.attempts import AttemptId
from callboard.db.sql.engine import Database

_TICK = 0.1
_INTERRUPTION = {
    StopReason.CANCELLED: Interruption.CANCELLED,
    StopReason.LEASE_LOST: Interruption.LEASE_LOST,
}


@dataclass(frozen=True, slots=True)
class RunningAttempt:
    """A handler that runs now."""

    interrupter: StopRequest
    time_limit: float
    give_up: Callable[[], None]
    """Called, again and again, while it should have ended and has not: end the attempt without its help."""
    started: float = field(default_factory=time.monotonic)
    thread: int = field(default_factory=threading.get_ident)
    """Of the worker: the one that made this."""


class RunningAttempts:
    """The attempts that this process holds, from claim to record, by job id and attempt number.

    Safe to use from any thread.
    """

    def __init__(self) -> None:
        self._held: dict[AttemptId, RunningAttempt | None] = {}
        self._given_up: set[AttemptId] = set()
        self._lost_threads: set[int] = set()
        self._lock = threading.Lock()
        self._replacement: str | None = None

    @property
    def replacement(self) -> str | None:
        """Why this process must be replaced by a new one, or None."""
        return self._replacement

    def replace_process(self, reason: str) -> None:
        """Have this process take no more jobs, end when those it holds are done, and be replaced; the first reason
        stays.
        """
        if self._replacement is None:
            self._replacement = reason

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, key: AttemptId) -> None:
        """Note an attempt that has been claimed."""
        with self._lock:
            self._held[key] = None

    def handler_starts(self, key: AttemptId, attempt: RunningAttempt) -> None:
        """From here on the attempt can be interrupted."""
        with self._lock:
            self._held[key] = attempt

    def handler_ended(self, key: AttemptId) -> bool:
        """From here on the attempt only waits for its record; False: it has been given up, so others see to that."""
        with self._lock:
            if key in self._given_up:
                return False
            self._held[key] = None
            return True

    def give_up(self, key: AttemptId) -> bool:
        """From here on the handler's end changes nothing, and the caller records the attempt; False: it has ended."""
        with self._lock:
            attempt = self._held.get(key)
            if attempt is None:
                return False
            self._held[key] = None
            self._given_up.add(key)
            self._lost_threads.add(attempt.thread)
            return True

    @property
    def lost_threads(self) -> set[int]:
        """The worker's threads, by identifier, that hang in handlers which have been given up."""
        with self._lock:
            return set(self._lost_threads)

    def drop(self, key: AttemptId) -> None:
        """Note that an attempt has been recorded, or is not ours any more."""
        with self._lock:
            self._held.pop(key, None)

    def held(self) -> list[AttemptId]:
        """Return all attempts of this process."""
        with self._lock:
            return list(self._held)

    def handlers(self) -> dict[AttemptId, RunningAttempt]:
        """Return those whose handler runs now."""
        with self._lock:
            return {key: attempt for key, attempt in self._held.items() if attempt is not None}

    def interrupt_all(self, reason: Interruption) -> None:
        """Ask every handler that runs now to stop."""
        for attempt in self.handlers().values():
            attempt.interrupter.interrupt(reason)


class Watch:
    """Stops attempts: over their time limit, cancelled, or not ours any more."""

    def __init__(
        self,
        running: RunningAttempts,
        database: Database,
        *,
        check_interval: float,
        lease_over: Callable[[], bool],
    ) -> None:
        """
        Args:
            check_interval: seconds between two looks into the database for cancel requests.
            lease_over: whether the attempts of this process may run elsewhere by now, whatever the database says.
        """
        self._running = running
        self._lease_over = lease_over
        self._database = database
        self._check_interval = check_interval
        self._deadlines = Loop("watch-deadlines", self._enforce, interval=_TICK, jitter=0)
        # A loop of its own: a slow database must not delay time limits.
        self._requests = Loop("watch-requests", self._look_for_requests, interval=check_interval)

    @property
    def alive(self) -> bool:
        """Whether its threads run."""
        return self._deadlines.alive and self._requests.alive

    def start(self) -> None:
        self._deadlines.start()
        self._requests.start()

    def stop(self) -> None:
        self._requests.stop()
        self._deadlines.stop()

    def _enforce(self) -> None:
        now = time.monotonic()
        if self._lease_over():
            self._running.interrupt_all(Interruption.LEASE_LOST)
        for attempt in self._running.handlers().values():
            if now - attempt.started > attempt.time_limit:
                attempt.interrupter.interrupt(Interruption.TIME_LIMIT)
            attempt.interrupter.enforce()
            if attempt.interrupter.overdue:
                attempt.give_up()

    def _look_for_requests(self) -> None:
        # An attempt younger than this cannot have been cancelled long ago; short jobs are never asked about.
        settled = time.monotonic() - self._check_interval / 2
        held = {key: attempt for key, attempt in self._running.handlers().items() if attempt.started < settled}
        if not held:
            return
        with self._database.begin() as connection:
            requests = stop_requests(connection, held)
        for key, reason in requests.items():
            held[key].interrupter.interrupt(_INTERRUPTION[reason])
