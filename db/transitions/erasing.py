"""Erasure of the contents of finished jobs: erase, consume, expire results. The row itself stays, for analytics."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, Integer, Uuid, bindparam, delete, null, select, text, update
from sqlalchemy import func as sql

from callboard.db.models import RESULT_EXPIRY, TIME, job_attempts, job_checkpoints, job_history, job_progress
from callboard.db.rules.ids import created_at_of
from callboard.db.transitions.history import held, is_held, parameters_of

_held = held(job_history.c.deleted.is_(False))
_ID = bindparam("this_id", type_=Uuid)
_CREATED_AT = bindparam("this_created_at", type_=TIME)
_THIS_JOB = (job_history.c.id == _ID, job_history.c.created_at == _CREATED_AT, job_history.c.deleted.is_(False))

_erased = (
    update(job_history)
    .where(is_held(_held))
    .values(
        payload=null(),
        result=null(),
        error=null(),
        progress=null(),
        erased_at=sql.coalesce(job_history.c.erased_at, sql.now()),
        deleted=True,
        revision=job_history.c.revision + 1,
    )
    .returning(job_history.c.id, job_history.c.created_at)
    .cte("erased")
)
# The kind of error stays: how often which error occurs is a fact about the system, not about this job.
_attempts = (
    update(job_attempts)
    .where(job_attempts.c.job_id == _erased.c.id, job_attempts.c.created_at == _erased.c.created_at)
    .values(error_message=null(), traceback=null())
    .returning(job_attempts.c.attempt)
    .cte("attempts")
)
_reports = (
    delete(job_progress)
    .where(job_progress.c.job_id == _erased.c.id, job_progress.c.created_at == _erased.c.created_at)
    .returning(job_progress.c.seq)
    .cte("reports")
)
_checkpoints = (
    delete(job_checkpoints)
    .where(job_checkpoints.c.job_id == _erased.c.id)
    .returning(job_checkpoints.c.key)
    .cte("checkpoints")
)
_erase = select(_erased.c.id).add_cte(_attempts).add_cte(_reports).add_cte(_checkpoints)

_without_contents = {
    "payload": null(),
    "result": null(),
    "erased_at": sql.now(),
    "revision": job_history.c.revision + 1,
}
_consume = (
    update(job_history)
    .where(*_THIS_JOB, job_history.c.erased_at.is_(None))
    .values(_without_contents)
    .returning(job_history.c.id)
)

_with_expired_results = (
    select(job_history.c.id)
    .where(
        job_history.c.result_ttl.is_not(None),
        job_history.c.result.is_not(None),
        text(f"{RESULT_EXPIRY} <= now() AT TIME ZONE 'UTC'"),
    )
    .order_by(text(RESULT_EXPIRY))
    .limit(bindparam("limit", type_=Integer))
)
_unconsumed = held(job_history.c.erased_at.is_(None))
_consume_all = update(job_history).where(is_held(_unconsumed)).values(_without_contents).returning(job_history.c.id)


def erase(connection: Connection, job_id: UUID) -> bool:
    """Erase payload, result, errors, progress and checkpoints of a finished job, and hide it from lists and polls.

    Returns False when the job is live, unknown, or hidden already.
    """
    return bool(erase_all(connection, [job_id]))


def erase_all(connection: Connection, job_ids: Collection[UUID]) -> set[UUID]:
    """:func:`erase` each of these jobs; return those that this call has erased."""
    return set(connection.execute(_erase, parameters_of(job_ids)).scalars()) if job_ids else set()


def consume(connection: Connection, job_id: UUID) -> bool:
    """Erase payload and result of a finished job whose result has been fetched; lists and polls still show the job.

    Returns False when the job is live, unknown, or has been erased already.
    """
    return connection.execute(_consume, _parameters(job_id)).first() is not None


def expire_results(connection: Connection, *, limit: int) -> set[UUID]:
    """:func:`consume` up to ``limit`` jobs whose ``result_ttl`` has passed since they succeeded; return which."""
    due = connection.execute(_with_expired_results, {"limit": limit}).scalars().all()
    return set(connection.execute(_consume_all, parameters_of(due)).scalars()) if due else set()


def _parameters(job_id: UUID) -> dict[str, object]:
    return {"this_id": job_id, "this_created_at": created_at_of(job_id)}
