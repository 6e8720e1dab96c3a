"""Ends that no attempt brings about: cancel and expire."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Text,
    Uuid,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from callboard.db.models import jobs
from callboard.db.rules.states import Reason, Status
from callboard.db.sql.rowset import among, each, rowset, rowset_of
from callboard.db.transitions.history import into_history


def _error(reason: Reason, type_: str, message: str) -> ColumnElement[Any]:
    return cast(
        func.jsonb_build_object(
            literal("reason"), cast(literal(reason), Text),
            literal("type"), cast(literal(type_), Text),
            literal("message"), cast(literal(message), Text),
            literal("attempt"), jobs.c.attempt,
        ),
        JSONB,
    )  # fmt: skip


_ids = rowset(id=Uuid())
_cancelled = (
    delete(jobs)
    .where(among(jobs.c.id, _ids), jobs.c.status != Status.RUNNING)
    .returning(*jobs.c, _error(Reason.CANCELLED, "Cancelled", "Cancelled before it ran.").label("new_error"))
    .cte("gone")
)
_cancel_waiting = select(_cancelled.c.id).add_cte(
    into_history(
        _cancelled,
        status=literal(Status.CANCELLED.value),
        error=_cancelled.c.new_error,
        cancel_requested_at=func.now(),
    )
)
_ask_running = (
    update(jobs)
    .where(among(jobs.c.id, _ids), jobs.c.status == Status.RUNNING)
    .values(
        cancel_requested_at=func.coalesce(jobs.c.cancel_requested_at, func.now()),
        revision=jobs.c.revision + case((jobs.c.cancel_requested_at.is_(None), 1), else_=0),
    )
)
_held_ids, _held = each(_ids, select(jobs.c.id, jobs.c.status).where(jobs.c.id == _ids.c.id).with_for_update())
_hold = select(_held.c.id, _held.c.status).select_from(_held_ids)


def cancel(connection: Connection, job_id: UUID) -> bool:
    """Cancel a waiting job at once, or ask the worker of a running one to stop it.

    From blocked, scheduled, queued or retrying to cancelled; running stays running, with ``cancel_requested_at`` set,
    until its attempt ends: then no other follows. Asking twice changes nothing. Returns False when the job is not
    live: finished or unknown.
    """
    return bool(cancel_all(connection, [job_id]))


def cancel_all(connection: Connection, job_ids: Collection[UUID]) -> set[UUID]:
    """Do as :func:`cancel` for each of these jobs; return those that were live."""
    # The locks are waited for, and then tell the present states: what comes next meets no surprise.
    held = connection.execute(_hold, _ids_of(job_ids)).all()
    if running := [row.id for row in held if row.status == Status.RUNNING]:
        connection.execute(_ask_running, _ids_of(running))
    if waiting := [row.id for row in held if row.status != Status.RUNNING]:
        connection.execute(_cancel_waiting, _ids_of(waiting))
    return {row.id for row in held}


def _ids_of(job_ids: Collection[UUID]) -> dict[str, str]:
    # In the order of their ids, as everywhere.
    return rowset_of({"id": job_id} for job_id in sorted(job_ids))


_overdue = (
    select(jobs.c.id)
    .where(jobs.c.expires_at <= func.now(), jobs.c.status != Status.RUNNING, jobs.c.started_at.is_(None))
    .order_by(jobs.c.expires_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
)
_expired = (
    delete(jobs)
    .where(jobs.c.id.in_(_overdue))
    .returning(*jobs.c, _error(Reason.EXPIRED, "Expired", "Not started before expires_at.").label("new_error"))
    .cte("gone")
)
_expire = select(_expired.c.id).add_cte(
    into_history(_expired, status=literal(Status.EXPIRED.value), error=_expired.c.new_error)
)


def expire(connection: Connection, *, limit: int = 1000) -> int:
    """End the jobs that were not started before ``expires_at``; return how many.

    From blocked, scheduled or queued, never started; by maintenance; to expired. A job that started once is not
    expired any more, however long its retries wait.
    """
    return len(connection.execute(_expire, {"limit": limit}).all())
