"""What an attempt leaves for the attempts after it: its checkpoint, and the results of steps that are done.

Written only while the attempt runs; kept until nobody can run the job again (it has succeeded, was deleted, or its
history went), then removed by upkeep.
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
_IS_OURS = (
    jobs.c.id == bindparam("this_job", type_=Uuid),
    jobs.c.attempt == _ATTEMPT,
    jobs.c.status == Status.RUNNING,
)
_DATA = cast(job_checkpoints.c.data, Text).label("data")
_stored = (
    select(_DATA)
    .select_from(jobs.outerjoin(job_checkpoints, and_(job_checkpoints.c.job_id == jobs.c.id, *_THIS)))
    .where(*_IS_OURS)
)
# Whoever ends the attempt waits for the end of this statement, or has ended it already.
_put = insert(job_checkpoints).from_select(
    ["job_id", "created_at", "kind", "key", "attempt", "data"],
    select(
        jobs.c.id,
        jobs.c.created_at,
        bindparam("this_kind", type_=Text),
        bindparam("this_key", type_=Text),
        _ATTEMPT,
        cast(bindparam("new_data", type_=Text), JSON),
    )
    .where(*_IS_OURS)
    .with_for_update(read=True),
)
_replace = _put.on_conflict_do_update(
    index_elements=[job_checkpoints.c.job_id, job_checkpoints.c.kind, job_checkpoints.c.key],
    set_={"attempt": _put.excluded.attempt, "data": _put.excluded.data, "saved_at": func.now()},
).returning(_DATA)
# What is there stays; an update that changes nothing returns it.
_put_once = _put.on_conflict_do_update(
    index_elements=[job_checkpoints.c.job_id, job_checkpoints.c.kind, job_checkpoints.c.key],
    set_={"attempt": job_checkpoints.c.attempt},
).returning(_DATA)


@dataclass(frozen=True, slots=True)
class StoredValue:
    """What is stored under a key; ``data`` is JSON, None where nothing is."""

    data: bytes | None


def read_checkpoint(connection: Connection, job_id: UUID, attempt: int) -> StoredValue | None:
    """Return the job's last checkpoint; None when the attempt has ended or been fenced out."""
    return _read(connection, job_id, attempt, _Kind.CHECKPOINT, "")


def save_checkpoint(connection: Connection, job_id: UUID, attempt: int, data: bytes) -> StoredValue | None:
    """Store the job's checkpoint in place of the one before, and return it.

    None, and nothing is stored, when the attempt has ended or been fenced out.
    """
    return _save(connection, _replace, _parameters(job_id, attempt, _Kind.CHECKPOINT, ""), data)


def read_step(connection: Connection, job_id: UUID, attempt: int, key: str) -> StoredValue | None:
    """Return the result of a step, if it is done; None when the attempt has ended or been fenced out."""
    return _read(connection, job_id, attempt, _Kind.STEP, key)


def save_step(connection: Connection, job_id: UUID, attempt: int, key: str, data: bytes) -> StoredValue | None:
    """Store the result of a step that is done, unless there is one, and return what is stored then.

    None, and nothing is stored, when the attempt has ended or been fenced out.
    """
    return _save(connection, _put_once, _parameters(job_id, attempt, _Kind.STEP, key), data)


def _read(connection: Connection, job_id: UUID, attempt: int, kind: _Kind, key: str) -> StoredValue | None:
    row = connection.execute(_stored, _parameters(job_id, attempt, kind, key)).first()
    return None if row is None else StoredValue(None if row.data is None else row.data.encode())


def _save(
    connection: Connection, put: ReturningInsert[Any], parameters: dict[str, object], data: bytes
) -> StoredValue | None:
    row = connection.execute(put, parameters | {"new_data": data.decode()}).first()
    return None if row is None else StoredValue(row.data.encode())


def _parameters(job_id: UUID, attempt: int, kind: _Kind, key: str) -> dict[str, object]:
    return {"this_job": job_id, "this_attempt": attempt, "this_kind": kind, "this_key": key}


_looked_at = (
    select(job_checkpoints.c.job_id, job_checkpoints.c.created_at)
    .where(job_checkpoints.c.job_id > bindparam("after", type_=Uuid))
    .group_by(job_checkpoints.c.job_id, job_checkpoints.c.created_at)
    .order_by(job_checkpoints.c.job_id)
    .limit(bindparam("limit", type_=Integer))
    .cte("looked_at")
)
_live = select(literal(1)).where(jobs.c.id == _looked_at.c.job_id)
_may_run_again = select(literal(1)).where(
    job_history.c.id == _looked_at.c.job_id,
    job_history.c.created_at == _looked_at.c.created_at,
    job_history.c.status != Status.SUCCEEDED,
    job_history.c.erased_at.is_(None),
)
_forgotten = (
    delete(job_checkpoints)
    .where(job_checkpoints.c.job_id == _looked_at.c.job_id, ~_live.exists(), ~_may_run_again.exists())
    .returning(job_checkpoints.c.job_id)
    .cte("forgotten")
)
_forget = select(_looked_at.c.job_id).order_by(_looked_at.c.job_id.desc()).add_cte(_forgotten)


def delete_settled_checkpoints(connection: Connection, after: UUID, *, limit: int = 1000) -> UUID | None:
    """Delete what up to ``limit`` jobs left that cannot run again, in the order of their ids, those after ``after``.

    Returns:
        Where to go on; None when there are no more.
    """
    rows = connection.execute(_forget, {"after": after, "limit": limit}).scalars().all()
    return rows[0] if len(rows) == limit else None
