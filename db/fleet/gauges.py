"""Gauges for monitoring, by type, queue and state. No row names a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, case, func, select

from callboard.db.models import jobs, queues, workers
from callboard.db.models.job_view import due_since, waits_for_worker


@dataclass(frozen=True, slots=True)
class Gauges:
    """The gauges at one time."""

    jobs: Sequence[RowMapping]
    """Live jobs by ``status``, ``type`` and ``queue``: how many ``jobs``, how many of them are ``waiting_for_worker``,
    and, of queued ones, the ``oldest_waiting_age``: seconds since the first of them was due."""
    queues: Sequence[RowMapping]
    """Every queue by ``queue``, and whether it is ``paused``: 1 or 0."""
    workers: Sequence[RowMapping]
    """``workers`` by ``state``: how many were seen in the last day."""


_jobs = select(
    jobs.c.status,
    jobs.c.type,
    jobs.c.queue,
    func.count().label("jobs"),
    func.count().filter(waits_for_worker).label("waiting_for_worker"),
    func.extract("epoch", func.now() - func.min(due_since)).label("oldest_waiting_age"),
).group_by(jobs.c.status, jobs.c.type, jobs.c.queue)
_queues = select(queues.c.name.label("queue"), case((queues.c.paused, 1), else_=0).label("paused"))
_workers = (
    select(workers.c.state, func.count().label("workers"))
    .where(workers.c.last_seen_at > func.now() - func.make_interval(0, 0, 0, 1))
    .group_by(workers.c.state)
)


def read_gauges(connection: Connection) -> Gauges:
    """Return the current gauges. Reads live jobs, and no history."""
    return Gauges(
        jobs=connection.execute(_jobs).mappings().all(),
        queues=connection.execute(_queues).mappings().all(),
        workers=connection.execute(_workers).mappings().all(),
    )
