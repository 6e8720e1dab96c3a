"""Maintenance: rescue, expiry, partitions, rollups, retention, and deleting rows that are not needed any more."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import Connection, RowMapping

from callboard.actors.execution.decide import worker_lost
from callboard.actors.loop import Loop
from callboard.actors.maintenance.leader import leads
from callboard.actors.maintenance.retention import Retention
from callboard.actors.maintenance.rollups import Rollups
from callboard.actors.metrics import JOBS_FINISHED
from callboard.db.access.audit import delete_old_entries
from callboard.db.attempt.checkpoints import delete_settled_checkpoints
from callboard.db.dispatching.rate_limits import delete_full_buckets
from callboard.db.errors import Unavailable
from callboard.db.fleet.expired_rows import delete_expired_keys, delete_old_workers
from callboard.db.fleet.workers import abandoned_attempts, declare_lost
from callboard.db.rules.states import TERMINAL, Status
from callboard.db.schema.partitions import ensure_partitions
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.sql.notify import notify_dispatcher
from callboard.db.transitions import AttemptId, Ending, expire, expire_results, record

_log = structlog.get_logger(__name__)

_PARTITIONS_EVERY = 3600.0
#: An expired result is to be gone within a minute.
_RESULTS_EVERY = 20.0
_DELETE_EVERY = 600.0
_RETENTION_EVERY = 600.0
_BATCH = 1000


class Maintenance:
    """The duties of maintenance. Every dispatcher has them; each is done by one process at a time."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        # Since when rescue reaches the database, by the monotonic clock; None during an outage.
        self._connected_since: float | None = -math.inf
        retention = Retention(database)
        self._loops = [
            Loop("rescue", self._rescue, interval=settings.maintenance_interval),
            Loop("expire", self._expire, interval=min(1.0, settings.maintenance_interval)),
            Loop("expire results", self._expire_results, interval=min(_RESULTS_EVERY, settings.maintenance_interval)),
            Loop("partitions", self._led("partitions", self._partitions), interval=_PARTITIONS_EVERY),
            Loop(
                "delete expired", self._led("delete expired", partial(delete_expired, settings)), interval=_DELETE_EVERY
            ),
            Loop("delete checkpoints", self._delete_checkpoints, interval=_DELETE_EVERY),
            Loop("rollups", Rollups(settings, database).follow, interval=settings.maintenance_interval),
            Loop("retention drop", retention.drop, interval=_RETENTION_EVERY),
            Loop("retention sweep", retention.sweep, interval=_RETENTION_EVERY),
        ]

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        for loop in self._loops:
            loop.stop()

    def _led(self, name: str, duty: Callable[[Connection], None]) -> Callable[[], None]:
        """Return the duty in a transaction that holds its leader lock. It does nothing if another process has that."""

        def duty_of_leader() -> None:
            with self._database.begin() as connection:
                if leads(connection, name):
                    duty(connection)

        return duty_of_leader

    def _rescue(self) -> None:
        try:
            with self._database.begin() as connection:
                rescued = self._rescue_led(connection) if leads(connection, "rescue") else []
        except Unavailable:
            self._connected_since = None
            raise
        if self._connected_since is None:
            self._connected_since = time.monotonic()
        for each in rescued:
            each.report()
        if rescued:
            notify_dispatcher(self._database)

    def _rescue_led(self, connection: Connection) -> Sequence[Rescued]:
        # During an outage workers could not send heartbeats either: after it they get a whole lease for the next one.
        if self._connected_since is not None and time.monotonic() - self._connected_since > self._settings.lease_ttl:
            for worker_id, name in declare_lost(connection, lease_ttl=self._settings.lease_ttl):
                _log.warning("worker_lost", worker=name, worker_id=str(worker_id))
        return rescue(connection)

    def _expire(self) -> None:
        # Without a leader: each skips the jobs that another one expires, and a lock every second would be a write.
        with self._database.begin() as connection:
            expired = expire(connection, limit=_BATCH)
        # When it is durable.
        for (job_type, queue), count in Counter((job.type, job.queue) for job in expired).items():
            JOBS_FINISHED.labels(job_type, queue, Status.EXPIRED).inc(count)
            _log.info("jobs_expired", job_type=job_type, queue=queue, jobs=count)

    def _delete_checkpoints(self) -> None:
        position: UUID | None = UUID(int=0)
        while position is not None:
            with self._database.begin() as connection:
                position = (
                    delete_settled_checkpoints(connection, position)
                    if leads(connection, "delete checkpoints")
                    else None
                )

    def _expire_results(self) -> None:
        more = True
        while more:
            with self._database.begin() as connection:
                leading = leads(connection, "expire results")
                erased = expire_results(connection, limit=_BATCH) if leading else set()
            more = len(erased) == _BATCH
            if erased:
                _log.info("results_expired", jobs=len(erased))

    def _partitions(self, connection: Connection) -> None:
        for name in ensure_partitions(connection, self._settings.partitions_ahead):
            _log.info("partition_made", partition=name)


@dataclass(frozen=True, slots=True)
class Rescued:
    """A job whose worker was lost."""

    ending: Ending
    job_type: str
    queue: str
    owner: str
    worker: str

    def report(self) -> None:
        """Log the rescue, which is durable, and count the job if it is done."""
        attempt_id, outcome = self.ending.attempt_id, self.ending.outcome
        if outcome.status in TERMINAL:
            JOBS_FINISHED.labels(self.job_type, self.queue, outcome.status).inc()
        _log.warning(
            "job_rescued",
            job_id=str(attempt_id.job_id),
            job_type=self.job_type,
            attempt=attempt_id.number,
            queue=self.queue,
            owner=self.owner,
            worker=self.worker,
            status=str(outcome.status),
        )


def rescue(connection: Connection) -> Sequence[Rescued]:
    """End the attempts of lost workers, and retry or fail their jobs; return what was rescued.

    The writes are fenced: a job that has changed since it was read is left alone.
    """
    found = [
        Rescued(_ending(row), row["type"], row["queue"], row["owner"], row["worker"])
        for row in abandoned_attempts(connection, limit=_BATCH)
    ]
    rescued = record(connection, [each.ending for each in found])
    return [each for each in found if each.ending.attempt_id in rescued]


def _ending(row: RowMapping) -> Ending:
    return Ending(
        AttemptId(row["id"], row["attempt"]),
        worker_lost(
            attempt=row["attempt"],
            retries=row["retries"],
            max_retries=row["max_retries"],
            worker=row["worker"],
            cancel_requested=row["cancel_requested_at"] is not None,
        ),
    )


def delete_expired(settings: Settings, connection: Connection) -> None:
    """Delete rows that are not needed any more, some of each kind: idempotency keys, workers, token buckets, audit."""
    delete_expired_keys(connection)
    delete_old_workers(connection)
    delete_full_buckets(connection)
    if settings.audit_keep_days is not None:
        delete_old_entries(connection, keep_days=settings.audit_keep_days)
