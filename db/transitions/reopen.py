"""A finished job that runs again: reopen."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Uuid, bindparam, delete, insert, literal, null, select

from db.ids import created_at_of
from db.models import TIME, job_history, jobs
from db.states import Status

_reopened = (
    delete(job_history)
    .where(
        job_history.c.id == bindparam("id", type_=Uuid),
        job_history.c.created_at == bindparam("created_at", type_=TIME),
        job_history.c.status != Status.SUCCEEDED,
        job_history.c.erased_at.is_(None),
        job_history.c.deleted.is_(False),
    )
    .returning(*job_history.c)
    .cte("reopened")
)
_taken_over = {column.name: _reopened.c[column.name] for column in jobs.c if column.name in job_history.c}
# Attempts go on counting, but all retries are there again: this is a new decision by a person.
_values: dict[str, ColumnElement[Any]] = _taken_over | {
    "status": literal(Status.QUEUED.value),
    "retries": literal(0),
    "revision": _reopened.c.revision + 1,
    **dict.fromkeys(
        (
            "scheduled_at",
            "expires_at",
            "attempt_started_at",
            "cancel_requested_at",
            "worker_id",
            "worker",
            "progress",
            "unique_key",
            "due_at",
            "dispatched_at",
        ),
        null(),
    ),
}
_reopen = (
    insert(jobs)
    .from_select(list(_values), select(*(value.label(name) for name, value in _values.items())))
    .returning(jobs.c.id)
)


def reopen(connection: Connection, job_id: UUID) -> bool:
    """Queue a finished job again, under the same id; its attempts go on counting.

    From failed, cancelled or expired to queued. Returns False when it is elsewhere, unknown, or its payload was erased.
    """
    parameters: dict[str, UUID | datetime] = {"id": job_id, "created_at": created_at_of(job_id)}
    return connection.execute(_reopen, parameters).first() is not None
