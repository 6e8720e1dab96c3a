"""Time, moved for one row: the database's clock cannot be, so its rows are made older."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, update

from callboard.db.models import jobs, workers
from callboard.db.sql.engine import Database


def make_due(database: Database, job_id: UUID) -> None:
    """Let the wait of a scheduled or retrying job be over."""
    with database.begin() as connection:
        connection.execute(
            update(jobs).where(jobs.c.id == job_id, jobs.c.due_at.is_not(None)).values(due_at=func.now())
        )


def make_overdue(database: Database, job_id: UUID) -> None:
    """Let a live job's ``expires_at`` be a second ago."""
    with database.begin() as connection:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(expires_at=func.now() - seconds(1)))


def silence(database: Database, worker_id: UUID, for_seconds: float) -> None:
    """Let a worker's last heartbeat be so long ago."""
    with database.begin() as connection:
        values = {"last_seen_at": func.now() - seconds(for_seconds)}
        connection.execute(update(workers).where(workers.c.id == worker_id).values(values))


def age_dispatch(database: Database, job_id: UUID, by_seconds: float) -> None:
    """Let a job's message have been confirmed so much earlier."""
    with database.begin() as connection:
        values = {"dispatched_at": jobs.c.dispatched_at - seconds(by_seconds)}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))


def seconds(number: float) -> object:
    return func.make_interval(0, 0, 0, 0, 0, 0, number)
