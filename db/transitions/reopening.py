"""Running finished jobs again: reopen."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, delete, func, insert, literal, null, select

from callboard.db.models import history_rollup_pending, job_history, jobs
from callboard.db.rules.states import Status
from callboard.db.transitions.history import held, is_held, parameters_of

_held = held(
    job_history.c.status != Status.SUCCEEDED, job_history.c.erased_at.is_(None), job_history.c.deleted.is_(False)
)
_reopened = delete(job_history).where(is_held(_held)).returning(*job_history.c).cte("reopened")
# The rollups have counted the job: its minute is pending again.
_uncounted = (
    insert(history_rollup_pending)
    .from_select(["starts_at", "ends_at"], select(_reopened.c.finished_at, _reopened.c.finished_at.label("ends_at")))
    .cte("uncounted")
)
_taken_over = {column.name: _reopened.c[column.name] for column in jobs.c if column.name in job_history.c}
# Attempts are numbered on, but no retry is spent: this is a new decision by a person.
_values: dict[str, ColumnElement[Any]] = _taken_over | {
    "status": literal(Status.QUEUED.value),
    "retries": literal(0),
    "queued_at": func.now(),
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
            "waiting_for",
        ),
        null(),
    ),
}
_reopen = (
    insert(jobs)
    .from_select(list(_values), select(*(value.label(name) for name, value in _values.items())))
    .returning(jobs.c.id)
    .add_cte(_uncounted)
)


def reopen(connection: Connection, job_id: UUID) -> bool:
    """Queue a finished job again, under the same id; its attempts are numbered on.

    From failed, cancelled or expired; to queued. Returns False when the job is in another state or unknown, or its
    payload was erased.
    """
    return bool(reopen_all(connection, [job_id]))


def reopen_all(connection: Connection, job_ids: Collection[UUID]) -> set[UUID]:
    """:func:`reopen` each of these jobs; return those that this call has queued."""
    return set(connection.execute(_reopen, parameters_of(job_ids)).scalars()) if job_ids else set()
