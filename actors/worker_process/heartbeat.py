"""The row of a worker process in ``workers``: its registration, its heartbeats, and the end of its lease."""

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
from callboard.db.sql.notify import notify_dispatcher
from callboard.db.transitions import Ending, recall, record
from callboard.db.version import VERSION

_log = structlog.get_logger(__name__)

# A claim that has waited so long for the registration is tried again, unless the worker stops.
_REGISTRATION_TIMEOUT = 1.0
# The rest is the time for handlers to stop, before other workers run their jobs.
_SHARE_OF_LEASE = 0.9
_RECALL_BATCH = 1000


class Heartbeat:
    """Registers this process, and updates its row every few seconds."""

    def __init__(
        self,
        database: Database,
        running: RunningAttempts,
        *,
        name: str | None,
        queues: Sequence[str],
        types: Sequence[str],
        threads: int,
        interval: float,
        lease_ttl: float,
    ) -> None:
        """
        Args:
            database: of the worker.
            running: the attempts of this process.
            name: the worker's name for operators; host and pid if None.
            queues: those that it consumes.
            types: job types that it knows.
            threads: attempts that may run at a time.
            interval: seconds between two heartbeats.
            lease_ttl: seconds without a heartbeat after which the worker is lost.
        """
        self._lease_ttl = lease_ttl
        self._database = database
        self._running = running
        self._queues = queues
        self._types = types
        self._threads = threads
        self._name = name or f"{platform.node()}.{os.getpid()}"
        self._state = WorkerState.RUNNING
        self._boot_id = new_id()
        self._registered = threading.Event()
        # When the last heartbeat that the database has recorded was sent, by the monotonic clock.
        self._seen_at = 0.0
        # No growing pauses: after an outage, little may be left of the lease.
        self._loop = Loop("heartbeat", self._beat, interval=interval, longest_pause=interval)

    @property
    def identity(self) -> tuple[UUID, str]:
        """The id and name under which this process claims now.

        Raises:
            Unavailable: it is not registered yet, or its lease is over, as the database has been away; try again.
        """
        if not self._registered.wait(_REGISTRATION_TIMEOUT):
            raise Unavailable("This worker is not registered yet.")
        if self.lease_over:
            raise Unavailable("This worker's lease is over, and no heartbeat has reached the database since.")
        return self._boot_id, self._name

    @property
    def registered(self) -> bool:
        """Whether this process may claim jobs."""
        return self._registered.is_set() and not self.lease_over

    @property
    def lease_over(self) -> bool:
        """Whether no heartbeat has reached the database for nearly a lease: other workers may run its jobs soon."""
        return self._registered.is_set() and time.monotonic() - self._seen_at > self._lease_ttl * _SHARE_OF_LEASE

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._loop.alive

    def start(self) -> None:
        self._loop.start()

    def drain(self) -> None:
        """Show that this worker takes no new jobs."""
        self._state = WorkerState.DRAINING
        self._loop.wake()

    def stop(self, *, ended: bool) -> None:
        """Stop the heartbeat. ``ended``: no attempt runs here any more, which is recorded."""
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
            # Other workers run our jobs by now. Attempts that still run here cannot record anything: stop them.
            _log.error("worker_declared_lost", worker=self._name, worker_id=str(self._boot_id))
            self._registered.clear()
            self._running.interrupt_all(Interruption.LEASE_LOST)
            self._boot_id = new_id()
        sent_at = time.monotonic()
        self._register()
        self._seen_at = sent_at
        self._registered.set()
        self._recall()

    def _recall(self) -> None:
        """Have jobs tried at once that have waited for a worker like this one."""
        recalled = _RECALL_BATCH
        while recalled == _RECALL_BATCH:
            with self._database.begin() as connection:
                recalled = recall(connection, self._types, limit=_RECALL_BATCH)
            if recalled:
                _log.info("recalled_for_known_types", jobs=recalled)
                notify_dispatcher(self._database)

    def _release_unheld(self, connection: Connection) -> None:
        """Release attempts that were claimed for this worker by statements whose results were lost."""
        lost = unheld_attempts(connection, self._boot_id, self._running.held(), older_than=self._lease_ttl)
        for job_id, attempt in record(connection, [Ending(attempt_id, Outcome.release()) for attempt_id in lost]):
            _log.warning("unheld_attempt_released", job_id=str(job_id), attempt=attempt)

    def _register(self) -> None:
        boot = WorkerBoot(
            self._boot_id, self._name, platform.node(), os.getpid(), VERSION, self._queues, self._threads, self._types
        )
        with self._database.begin() as connection:
            # Jobs can then be submitted to these queues, even if the api does not know their job types.
            ensure_queues(connection, self._queues)
            register_worker(connection, boot)
