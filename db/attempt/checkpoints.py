"""Checkpoints and results of steps, which an attempt stores for the later attempts of its job.

They are written only while the attempt runs, kept while the job may run again, and deleted by maintenance once it
cannot (it has succeeded, was erased, or its history was dropped).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Connection, Integer, Text, Uuid, and_, bindparam, cast, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert

from callboard.db.models import job_checkpoints, job_history, jobs
from callboard.db.rules.states import Status


class _Kind(StrEnum):
    CHECKPOINT = "checkpoint"
    STEP = "step"


_ATTEMPT = bindparam("this_attempt", type_=Integer)
_THIS = (
    job_checkpoints.c.kind == bindparam("this_kind", type_=Text),
    job_checkpoints.c.key == bindparam("this_key", type_=Text),
)
_ATTEMPT_RUNS = (
    jobs.c.id == bindparam("this_job", type_=Uuid),
    jobs.c.attempt == _ATTEMPT,
    jobs.c.status == Status.RUNNING,
)
_DATA = cast(job_checkpoints.c.data, Text).label("data")
_stored = (
    select(_DATA)
    .select_from(jobs.outerjoin(job_checkpoints, and_(job_checkpoints.c.job_id == jobs.c.id, *_THIS)))
    .where(*_ATTEMPT_RUNS)
)
# With the lock of the job's row, the end of the attempt waits for this statement; without a row, it has ended already.
_insert = insert(job_checkpoints).from_select(
    ["job_id", "created_at", "kind", "key", "attempt", "data"],
    select(
        jobs.c.id,
        jobs.c.created_at,
        bindparam("this_kind", type_=Text),
        bindparam("this_key", type_=Text),
        _ATTEMPT,
        cast(bindparam("new_data", type_=Text), JSON),
    )
    .where(*_ATTEMPT_RUNS)
    .with_for_update(read=True),
)
_upsert = _insert.on_conflict_do_update(
    index_elements=[job_checkpoints.c.job_id, job_checkpoints.c.kind, job_checkpoints.c.key],
    set_={"attempt": _insert.excluded.attempt, "data": _insert.excluded.data, "saved_at": func.now()},
).returning(_DATA)
# The stored result stays; DO UPDATE without a change returns it, which DO NOTHING does not.
_insert_once = _insert.on_conflict_do_update(
    index_elements=[job_checkpoints.c.job_id, job_checkpoints.c.kind, job_checkpoints.c.key],
    set_={"attempt": job_checkpoints.c.attempt},
).returning(_DATA)


@dataclass(frozen=True, slots=True)
class StoredValue:
    """The value under a key: ``data`` is JSON, None where nothing is stored."""

    data: bytes | None


def read_checkpoint(connection: Connection, job_id: UUID, attempt: int) -> StoredValue | None:
    """Return the job's last checkpoint. None when the attempt has ended or been fenced out."""
    return _read(connection, job_id, attempt, _Kind.CHECKPOINT, "")


def save_checkpoint(connection: Connection, job_id: UUID, attempt: int, data: bytes) -> StoredValue | None:
    """Store the job's checkpoint in place of the last one, and return it.

    Returns None, with nothing stored, when the attempt has ended or been fenced out.
    """
    return _save(connection, _upsert, _parameters(job_id, attempt, _Kind.CHECKPOINT, ""), data)


def read_step(connection: Connection, job_id: UUID, attempt: int, key: str) -> StoredValue | None:
    """Return the result of a step, if it is done. None when the attempt has ended or been fenced out."""
    return _read(connection, job_id, attempt, _Kind.STEP, key)


def save_step(connection: Connection, job_id: UUID, attempt: int, key: str, data: bytes) -> StoredValue | None:
    """Store the result of a step unless it has one already, and return the one that is stored.

    Returns None, with nothing stored, when the attempt has ended or been fenced out.
    """
    return _save(connection, _insert_once, _parameters(job_id, attempt, _Kind.STEP, key), data)


def _read(connection: Connection, job_id: UUID, attempt: int, kind: _Kind, key: str) -> StoredValue | None:
    row = connection.execute(_stored, _parameters(job_id, attempt, kind, key)).first()
    return None if row is None else StoredValue(None if row.data is None else row.data.encode())


def _save(
    connection: Connection, statement: ReturningInsert[Any], parameters: dict[str, object], data: bytes
) -> StoredValue | None:
    row = connection.execute(statement, parameters | {"new_data": data.decode()}).first()
    return None if row is None else StoredValue(row.data.encode())


def _parameters(job_id: UUID, attempt: int, kind: _Kind, key: str) -> dict[str, object]:
    return {"this_job": job_id, "this_attempt": attempt, "this_kind": kind, "this_key": key}


_candidates = (
    select(job_checkpoints.c.job_id, job_checkpoints.c.created_at)
    .where(job_checkpoints.c.job_id > bindparam("after", type_=Uuid))
    .group_by(job_checkpoints.c.job_id, job_checkpoints.c.created_at)
    .order_by(job_checkpoints.c.job_id)
    .limit(bindparam("limit", type_=Integer))
    .cte("candidates")
)
_live = select(literal(1)).where(jobs.c.id == _candidates.c.job_id)
_may_run_again = select(literal(1)).where(
    job_history.c.id == _candidates.c.job_id,
    job_history.c.created_at == _candidates.c.created_at,
    job_history.c.status != Status.SUCCEEDED,
    job_history.c.erased_at.is_(None),
)
_deleted = (
    delete(job_checkpoints)
    .where(job_checkpoints.c.job_id == _candidates.c.job_id, ~_live.exists(), ~_may_run_again.exists())
    .returning(job_checkpoints.c.job_id)
    .cte("deleted")
)
_delete_settled = select(_candidates.c.job_id).order_by(_candidates.c.job_id.desc()).add_cte(_deleted)


def delete_settled_checkpoints(connection: Connection, after: UUID, *, limit: int = 1000) -> UUID | None:
    """Delete the checkpoints and steps of jobs that cannot run again, among the next ``limit`` jobs that have any.

    Args:
        connection: in a transaction.
        after: check the jobs with ids above this one, in their order.
        limit: check so many jobs.

    Returns:
        ``after`` for the next call; None when all have been checked.
    """
    rows = connection.execute(_delete_settled, {"after": after, "limit": limit}).scalars().all()
    return rows[0] if len(rows) == limit else None
