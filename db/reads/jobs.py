"""Reads of jobs for the api: by id, by a filter, their attempts, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CompoundSelect,
    Connection,
    RowMapping,
    Select,
    Table,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    func,
    select,
    union_all,
)

from callboard.db.models import TIME, job_attempts, job_history, jobs
from callboard.db.models.job_view import JobView, view_of
from callboard.db.reads.job_filter import JobFilter, narrowed
from callboard.db.rules.ids import created_at_of
from callboard.db.rules.states import Status
from callboard.db.sql.pipeline import PreparedStatement, execute_together
from callboard.db.sql.rowset import each, rowset, rowset_of

_ids = rowset(id=Uuid(), created_at=TIME)
_in_history = and_(
    job_history.c.id == _ids.c.id,
    job_history.c.created_at == _ids.c.created_at,
    job_history.c.deleted.is_(False),
)


def _either(live: Select[Any], finished: Select[Any]) -> CompoundSelect[Any]:
    """Return the SELECT that looks each id up in both tables: in one snapshot, so a moving job is in exactly one."""
    in_jobs, job = each(_ids, live.where(jobs.c.id == _ids.c.id).limit(1))
    in_history, done = each(_ids, finished.where(_in_history).limit(1))
    return union_all(select(*job.c).select_from(in_jobs), select(*done.c).select_from(in_history))


_by_id = PreparedStatement(_either(view_of(jobs), view_of(job_history)))


def get_jobs(connection: Connection, job_ids: Sequence[UUID]) -> dict[UUID, JobView]:
    """Return the views of these jobs, live or finished; ids that are unknown are left out."""
    [rows] = execute_together(connection, (_by_id, _id_parameters(job_ids)))
    return {row["id"]: row for row in rows}


@dataclass(frozen=True, slots=True)
class JobState:
    """How far a job is: ``revision`` grows with everything that a client may see of it."""

    status: Status
    revision: int


_states = _either(
    select(jobs.c.id, jobs.c.status, jobs.c.revision),
    select(job_history.c.id, job_history.c.status, job_history.c.revision),
)


def get_states(connection: Connection, job_ids: Sequence[UUID]) -> dict[UUID, JobState]:
    """Return the states of these jobs, live or finished; ids that are unknown are left out."""
    rows = connection.execute(_states, _id_parameters(job_ids))
    return {row.id: JobState(Status(row.status), row.revision) for row in rows}


_payloads = _either(
    select(jobs.c.id, cast(jobs.c.payload, Text).label("payload")),
    select(job_history.c.id, cast(job_history.c.payload, Text).label("payload")),
)


def get_payload(connection: Connection, job_id: UUID) -> str | None:
    """Return a job's payload as JSON, or None when it is unknown or was erased."""
    row = connection.execute(_payloads, _id_parameters([job_id])).first()
    return None if row is None else row.payload


def _id_parameters(job_ids: Sequence[UUID]) -> dict[str, str]:
    return rowset_of({"id": job_id, "created_at": created_at_of(job_id)} for job_id in job_ids)


_attempts = (
    select(*job_attempts.c)
    .where(
        job_attempts.c.job_id == bindparam("job_id", type_=Uuid),
        job_attempts.c.created_at == bindparam("created_at", type_=TIME),
    )
    .order_by(job_attempts.c.attempt)
)


def list_attempts(connection: Connection, job_id: UUID) -> Sequence[RowMapping]:
    """Return the ended attempts of a job, oldest first: the columns of ``job_attempts``."""
    parameters = {"job_id": job_id, "created_at": created_at_of(job_id)}
    return connection.execute(_attempts, parameters).mappings().all()


def matching_jobs(
    connection: Connection, table: Table, job_filter: JobFilter, *, before: UUID, limit: int
) -> Sequence[RowMapping]:
    """Return up to ``limit`` jobs of ``table``, live or finished ones, newest first; those with ids below ``before``.

    Columns: ``id``, ``type``, and ``skip``: a cancel was requested (live), or the contents were erased (finished).
    """
    skip = table.c.cancel_requested_at if table is jobs else table.c.erased_at
    statement = narrowed(select(table.c.id, table.c.type, skip.is_not(None).label("skip")), table, job_filter, before)
    if table is job_history:
        statement = statement.where(job_history.c.deleted.is_(False))
    return connection.execute(statement.order_by(table.c.id.desc()).limit(limit)).mappings().all()


def count_matching(
    connection: Connection, table: Table, job_filter: JobFilter, *, before: UUID, most: int
) -> int | None:
    """Return the number of jobs that :func:`matching_jobs` would find, or None if there are more than ``most``."""
    statement = narrowed(select(table.c.id), table, job_filter, before)
    if table is job_history:
        statement = statement.where(job_history.c.deleted.is_(False))
    found = statement.limit(most + 1).subquery()
    count: int = connection.execute(select(func.count()).select_from(found)).scalar_one()
    return count if count <= most else None


_counts = select(jobs.c.status, jobs.c.type, jobs.c.queue, func.count().label("jobs")).group_by(
    jobs.c.status, jobs.c.type, jobs.c.queue
)


def count_live(connection: Connection, *, owner: str | None = None) -> Sequence[RowMapping]:
    """Return the number of live jobs (of ``owner``, or all) by ``status``, ``type`` and ``queue``."""
    statement = _counts if owner is None else _counts.where(jobs.c.owner == owner)
    return connection.execute(statement).mappings().all()


def count_live_of(connection: Connection, owner: str, *, most: int) -> int:
    """Return the number of live jobs of ``owner``, or ``most`` if there are more: it counts no further."""
    found = select(jobs.c.id).where(jobs.c.owner == owner).limit(most).subquery()
    count: int = connection.execute(select(func.count()).select_from(found)).scalar_one()
    return count
