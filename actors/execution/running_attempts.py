"""The attempts of this process, and the watch that interrupts them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from callboard.actors.execution.interrupts import Interruption, StopRequest
from callboard.actors.loop import Loop
from callboard.db.fleet.workers import StopReason, stop_requests
from callboard.db.rules.attempts import AttemptId
from callboard.db.sql.engine import Database

_log = structlog.get_logger(__name__)

_TICK = 0.1
_INTERRUPTION = {
    StopReason.CANCELLED: Interruption.CANCELLED,
    StopReason.LEASE_LOST: Interruption.LEASE_LOST,
}


@dataclass(frozen=True, slots=True)
class RunningAttempt:
    """An attempt whose handler runs."""

    interrupter: StopRequest
    time_limit: float
    give_up: Callable[[], None]
    """Called repeatedly while the handler is overdue: ends the attempt without it."""
    started: float = field(default_factory=time.monotonic)
    thread: int = field(default_factory=threading.get_ident)
    """Identifier of the worker's thread: the one that constructed this."""


class RunningAttempts:
    """The attempts that this process holds, from claim to record. For any thread."""

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
        """Have this process drain, end and be replaced. The first reason is kept."""
        if self._replacement is None:
            self._replacement = reason

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, key: AttemptId) -> None:
        """Add an attempt that has been claimed."""
        with self._lock:
            self._held[key] = None

    def handler_starts(self, key: AttemptId, attempt: RunningAttempt) -> None:
        """Record that the handler runs: from here on the attempt can be interrupted."""
        with self._lock:
            self._held[key] = attempt

    def handler_ended(self, key: AttemptId) -> bool:
        """Record that the handler has ended; return whether the caller records the attempt. False: it was given up."""
        with self._lock:
            if key in self._given_up:
                return False
            self._held[key] = None
            return True

    def give_up(self, key: AttemptId) -> bool:
        """Give up an attempt whose handler hangs; return whether the caller records it. False: the handler ended."""
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
        """Identifiers of the worker's threads that hang in handlers which were given up."""
        with self._lock:
            return set(self._lost_threads)

    def drop(self, key: AttemptId) -> None:
        """Remove an attempt that has been recorded or fenced out."""
        with self._lock:
            self._held.pop(key, None)

    def held(self) -> list[AttemptId]:
        """Return all attempts of this process."""
        with self._lock:
            return list(self._held)

    def handlers(self) -> dict[AttemptId, RunningAttempt]:
        """Return the attempts whose handler runs."""
        with self._lock:
            return {key: attempt for key, attempt in self._held.items() if attempt is not None}

    def interrupt_all(self, reason: Interruption) -> None:
        """Set the flag of every handler that runs."""
        for attempt in self.handlers().values():
            attempt.interrupter.interrupt(reason)


class Watch:
    """Interrupts attempts that exceed their time limit, were cancelled, or were fenced out."""

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
            running: the attempts of this process.
            database: of the worker.
            check_interval: seconds between two polls of the database for requests to stop.
            lease_over: returns whether other workers may run the attempts of this process by now.
        """
        self._running = running
        self._lease_over = lease_over
        self._database = database
        self._check_interval = check_interval
        self._deadlines = Loop("watch-deadlines", self._enforce, interval=_TICK, jitter=0)
        # A loop of its own: a slow database must not delay time limits.
        self._requests = Loop("watch-requests", self._poll_requests, interval=check_interval)

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
        for (job_id, number), attempt in self._running.handlers().items():
            try:
                if now - attempt.started > attempt.time_limit:
                    attempt.interrupter.interrupt(Interruption.TIME_LIMIT)
                attempt.interrupter.enforce()
                if attempt.interrupter.overdue:
                    attempt.give_up()
            except Exception:  # noqa: BLE001 - the limits of the others hold
                _log.exception("attempt_not_stopped", job_id=str(job_id), attempt=number)

    def _poll_requests(self) -> None:
        # A younger attempt cannot have been cancelled long ago. Short jobs thus cost no query.
        settled = time.monotonic() - self._check_interval / 2
        held = {key: attempt for key, attempt in self._running.handlers().items() if attempt.started < settled}
        if not held:
            return
        with self._database.begin() as connection:
            requests = stop_requests(connection, held)
        for key, reason in requests.items():
            held[key].interrupter.interrupt(_INTERRUPTION[reason])
