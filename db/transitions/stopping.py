"""Ends of jobs that wait, and requests to stop: cancel and expire."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
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
_request_cancel = (
    update(jobs)
    .where(among(jobs.c.id, _ids), jobs.c.status == Status.RUNNING)
    .values(
        cancel_requested_at=func.coalesce(jobs.c.cancel_requested_at, func.now()),
        revision=jobs.c.revision + case((jobs.c.cancel_requested_at.is_(None), 1), else_=0),
    )
)
_locking, _locked = each(_ids, select(jobs.c.id, jobs.c.status).where(jobs.c.id == _ids.c.id).with_for_update())
_lock = select(_locked.c.id, _locked.c.status).select_from(_locking)


def cancel(connection: Connection, job_id: UUID) -> bool:
    """Cancel a waiting job at once, or request that the worker of a running one stops it.

    From blocked, scheduled, queued or retrying to cancelled. Running stays running, with ``cancel_requested_at`` set,
    until its attempt ends; no other attempt follows. A second request changes nothing. Returns False when the job is
    finished or unknown.
    """
    return bool(cancel_all(connection, [job_id]))


def cancel_all(connection: Connection, job_ids: Collection[UUID]) -> set[UUID]:
    """:func:`cancel` each of these jobs; return those that were live."""
    # Once the rows are locked, their states are current and stay so.
    live = connection.execute(_lock, _ids_of(job_ids)).all()
    if running := [row.id for row in live if row.status == Status.RUNNING]:
        connection.execute(_request_cancel, _ids_of(running))
    if waiting := [row.id for row in live if row.status != Status.RUNNING]:
        connection.execute(_cancel_waiting, _ids_of(waiting))
    return {row.id for row in live}


def _ids_of(job_ids: Collection[UUID]) -> dict[str, str]:
    # In the order of their ids, as everywhere.
    return rowset_of({"id": job_id} for job_id in sorted(job_ids))


# Selected by an array: a join may run the subquery for each row, and SKIP LOCKED then finds others beyond the limit.
_overdue = (
    select(jobs.c.id)
    .where(jobs.c.expires_at <= func.now(), jobs.c.status != Status.RUNNING, jobs.c.started_at.is_(None))
    .order_by(jobs.c.expires_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("overdue")
)
_expired = (
    delete(jobs)
    .where(among(jobs.c.id, _overdue))
    .returning(*jobs.c, _error(Reason.EXPIRED, "Expired", "Not started before expires_at.").label("new_error"))
    .cte("gone")
)
_expire = select(_expired.c.id, _expired.c.type, _expired.c.queue).add_cte(
    into_history(_expired, status=literal(Status.EXPIRED.value), error=_expired.c.new_error)
)


def expire(connection: Connection, *, limit: int = 1000) -> Sequence[Row[UUID, str, str]]:
    """End the jobs that were not started before ``expires_at``; return ``id``, ``type`` and ``queue`` of each.

    From blocked, scheduled or queued, and never started; by maintenance; to expired. A job that has started once does
    not expire, however long its retries wait.
    """
    return connection.execute(_expire, {"limit": limit}).all()
