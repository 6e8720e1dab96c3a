"""A worker process in the table ``workers``: registered, seen every few seconds, and what a lost lease means."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import Connection

from callboard.actors.execution.interrupts import Interruption
from callboard.actors.execution.running_attempts import RunningAttempts
from callboard.actors.loop import Loop
from callboard.db.dispatching.queues import ensure_queues
from callboard.db.errors import Unavailable
from callboard.db.fleet.workers import WorkerBoot, WorkerState, heartbeat, register_worker, unheld_attempts
from callboard.db.rules.ids import new_id
from callboard.db.rules.outcome import Outcome
from callboard.db.sql.engine import Database
from callboard.db.transitions import Ending, record
from callboard.db.version import VERSION

_log = structlog.get_logger(__name__)

# The claim that waits for it is tried again, unless the worker has been told to stop by then.
_REGISTRATION_PATIENCE = 1.0
# The rest is for handlers to stop in, before others start their jobs.
_SHARE_OF_LEASE = 0.9


class Heartbeat:
    """Keeps this process known as alive."""

    def __init__(
        self,
        database: Database,
        running: RunningAttempts,
        *,
        name: str | None,
        queues: Sequence[str],
        threads: int,
        interval: float,
        lease_ttl: float,
    ) -> None:
        """``name``: what operators see; host and pid if None. Seconds: ``interval`` between two heartbeats,
        ``lease_ttl`` after which others take this worker for lost.
        """
        self._lease_ttl = lease_ttl
        self._database = database
        self._running = running
        self._queues = queues
        self._threads = threads
        self._name = name or f"{platform.node()}.{os.getpid()}"
        self._state = WorkerState.RUNNING
        self._boot_id = new_id()
        self._registered = threading.Event()
        # When the heartbeat was sent that the database has noted last, by the monotonic clock: not later than its own.
        self._seen_at = 0.0
        # No growing pauses: after an outage the lease is what is left of it.
        self._loop = Loop("heartbeat", self._beat, interval=interval, longest_pause=interval)

    @property
    def identity(self) -> tuple[UUID, str]:
        """The id and name that this process claims under now.

        Raises:
            Unavailable: it is not registered, as the database has been away since it started, or its lease is over;
                try again.
        """
        if not self._registered.wait(_REGISTRATION_PATIENCE):
            raise Unavailable("This worker is not registered yet.")
        if self.lease_over:
            raise Unavailable("This worker's lease is over, and the database has not heard of it since.")
        return self._boot_id, self._name

    @property
    def registered(self) -> bool:
        """Whether this process may claim jobs."""
        return self._registered.is_set() and not self.lease_over

    @property
    def lease_over(self) -> bool:
        """Whether the database has not heard of this process for nearly a whole lease: its jobs are for others now."""
        return self._registered.is_set() and time.monotonic() - self._seen_at > self._lease_ttl * _SHARE_OF_LEASE

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._loop.alive

    def start(self) -> None:
        self._loop.start()

    def drain(self) -> None:
        """Tell that this worker takes no new jobs."""
        self._state = WorkerState.DRAINING
        self._loop.wake()

    def stop(self, *, ended: bool) -> None:
        """Stop the heartbeat; tell that this worker has ended, unless something still runs here."""
        self._loop.stop()
        if ended and self._registered.is_set():
            with self._database.begin() as connection:
                heartbeat(connection, self._boot_id, WorkerState.STOPPED)

    def _beat(self) -> None:
        sent_at = time.monotonic()
        if self._registered.is_set():
            with self._database.begin() as connection:
                alive = heartbeat(connection, self._boot_id, self._state)
                if alive:
                    self._release_unheld(connection)
            if alive:
                self._seen_at = sent_at
                return
            # Others run our jobs by now. Whatever still runs here can record nothing; stop it and begin anew.
            _log.error("worker_declared_lost", worker=self._name, worker_id=str(self._boot_id))
            self._registered.clear()
            self._running.interrupt_all(Interruption.LEASE_LOST)
            self._boot_id = new_id()
        sent_at = time.monotonic()
        self._register()
        self._seen_at = sent_at
        self._registered.set()

    def _release_unheld(self, connection: Connection) -> None:
        """Hand back what was claimed for this worker while the answer got lost on its way here."""
        lost = unheld_attempts(connection, self._boot_id, self._running.held(), older_than=self._lease_ttl)
        for job_id, attempt in record(connection, [Ending(attempt_id, Outcome.release()) for attempt_id in lost]):
            _log.warning("unheld_attempt_released", job_id=str(job_id), attempt=attempt)

    def _register(self) -> None:
        boot = WorkerBoot(self._boot_id, self._name, platform.node(), os.getpid(), VERSION, self._queues, self._threads)
        with self._database.begin() as connection:
            # So that jobs can be submitted to them, whatever job types the api knows.
            ensure_queues(connection, self._queues)
            register_worker(connection, boot)
