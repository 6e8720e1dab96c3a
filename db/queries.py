"""Reads of jobs for the api: by id, their attempts, by what they are, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    RowMapping,
    Select,
    Table,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from db.batch import batch, batch_of, each
from db.hot import HotCall, HotStatement, execute_together
from db.ids import created_at_of, first_id
from db.models import TIME, job_attempts, job_history, jobs
from db.states import Status
from db.views import JobView, view_of

Columns = Mapping[str, ColumnElement[Any]] | ReadOnlyColumnCollection[str, Column[Any]]

_MILLISECOND: Final = timedelta(milliseconds=1)

_ids = batch(id=Uuid(), created_at=TIME)
_in_history = and_(
    job_history.c.id == _ids.c.id,
    job_history.c.created_at == _ids.c.created_at,
    job_history.c.deleted.is_(False),
)


def _either(live: Select[Any], finished: Select[Any]) -> CompoundSelect[Any]:
    """Look each id up in both tables. It is one snapshot: a job that moves meanwhile is seen in exactly one."""
    in_jobs, job = each(_ids, live.where(jobs.c.id == _ids.c.id).limit(1))
    in_history, done = each(_ids, finished.where(_in_history).limit(1))
    return union_all(select(*job.c).select_from(in_jobs), select(*done.c).select_from(in_history))


_by_id = HotStatement(_either(view_of(jobs), view_of(job_history)))


def get_jobs(connection: Connection, job_ids: Sequence[UUID]) -> dict[UUID, JobView]:
    """Return the views (`db.views`) of these jobs, live or finished; ids that are unknown are left out."""
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
    return batch_of(("id", "created_at"), ((job_id, created_at_of(job_id)) for job_id in job_ids))


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


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are meant; a field that is None or empty does not narrow it."""

    statuses: frozenset[Status] = frozenset()
    type: str | None = None
    queue: str | None = None
    owner: str | None = None
    tags: Mapping[str, str] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    parent_id: UUID | None = None


def narrowed(statement: Select[Any], table: Table, wanted: JobFilter, before: UUID | None) -> Select[Any]:
    """Return the statement about ``table`` for the jobs of the filter; those older than the id ``before``."""
    if before is not None:
        # created_at says the same as the id, and lets the planner leave out later partitions.
        statement = statement.where(table.c.id < before, table.c.created_at <= created_at_of(before))
    return statement.where(*conditions_of(table.c, wanted))


def conditions_of(columns: Columns, wanted: JobFilter) -> list[ColumnElement[bool]]:
    """Return what the filter asks of rows with these columns: of live or finished jobs, or of views of them."""
    conditions = [
        columns[name] == value
        for name in ("type", "queue", "owner", "parent_id")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.statuses:
        conditions.append(columns["status"].in_(sorted(wanted.statuses)))
    if wanted.tags:
        conditions.append(columns["tags"].contains(cast(literal(dict(wanted.tags), JSONB), JSONB)))
    # Of ids, too, which say the same to the millisecond: partitions are found by the time, rows in them by the id.
    if wanted.created_after is not None:
        conditions += [columns["created_at"] >= wanted.created_after, columns["id"] >= first_id(wanted.created_after)]
    if wanted.created_before is not None:
        after = first_id(wanted.created_before + _MILLISECOND)
        conditions += [columns["created_at"] < wanted.created_before, columns["id"] < after]
    return conditions


def indexed_parts(table: Table, wanted: JobFilter) -> list[JobFilter]:
    """Return the parts of the filter that have an index of ``table`` which is in the order of ids, or that of all jobs.

    Each is one condition, and the times. The filter itself is among them if there is nothing else to it.
    """
    times = JobFilter(created_after=wanted.created_after, created_before=wanted.created_before)
    names = ("parent_id", "owner") if table is jobs else ("parent_id", "owner", "type", "queue")
    parts = [replace(times, **{name: getattr(wanted, name)}) for name in names if getattr(wanted, name) is not None]
    if table is job_history and len(wanted.statuses) == 1 and Status.SUCCEEDED not in wanted.statuses:
        parts.append(replace(times, statuses=wanted.statuses))
    return parts or [times]


_IN_ORDER: Final[HotCall] = (
    HotStatement(
        select(
            func.set_config("enable_sort", "off", literal(value=True)),
            func.set_config("enable_incremental_sort", "off", literal(value=True)),
        )
    ),
    {},
)


def read_in_order(connection: Connection) -> None:
    """Have the planner read jobs in the order of an index, in the rest of this transaction.

    What it knows of values is older than the newest rows, and it takes the time of a job and its id for independent.
    Where it therefore expects few rows, it finds all of them by any index and sorts them.
    """
    execute_together(connection, _IN_ORDER)


def by_index(statement: Select[Any], table: Table, part: JobFilter, *, newest_first: bool = False) -> Select[Any]:
    """Return the statement for one of :func:`indexed_parts`, in the order of :func:`index_order`.

    The value is looked for as one of a list. It is then not a constant to the planner, so that this order is that of
    one index alone. By the order of ids it could also read the jobs of all values until it has found enough.
    """
    name = _indexed_name(part)
    times = JobFilter(created_after=part.created_after, created_before=part.created_before)
    conditions = conditions_of(table.c, times)
    if name is not None:
        column = table.c[name]
        [value] = part.statuses if name == "status" else [getattr(part, name)]
        conditions.append(column == any_(literal([value], ARRAY(column.type))))
        # So that a plan for any value, too, may use an index that leaves some out.
        if name == "status":
            conditions.append(column != literal_column(f"'{Status.SUCCEEDED}'"))
        elif name == "parent_id":
            conditions.append(column.is_not(None))
    return statement.where(*conditions).order_by(*index_order(table.c, part, newest_first=newest_first))


def index_order(columns: Columns, part: JobFilter, *, newest_first: bool = False) -> list[ColumnElement[Any]]:
    """Return the order of the index of one of :func:`indexed_parts`, within which it is that of ids."""
    name = _indexed_name(part)
    order = [columns["id"]] if name is None else [columns[name], columns["id"]]
    return [column.desc() for column in order] if newest_first else order


def _indexed_name(part: JobFilter) -> str | None:
    names = ("parent_id", "owner", "type", "queue")
    return next((name for name in names if getattr(part, name) is not None), "status" if part.statuses else None)


def matching_jobs(
    connection: Connection, table: Table, wanted: JobFilter, *, before: UUID, limit: int
) -> Sequence[RowMapping]:
    """Return up to ``limit`` jobs of ``table``, live or finished ones, newest first; those with ids below ``before``.

    Columns: ``id``, and ``skip``: whether a cancel was asked for (live), or what they held was erased (finished).
    """
    skip = table.c.cancel_requested_at if table is jobs else table.c.erased_at
    statement = narrowed(select(table.c.id, skip.is_not(None).label("skip")), table, wanted, before)
    if table is job_history:
        statement = statement.where(job_history.c.deleted.is_(False))
    return connection.execute(statement.order_by(table.c.id.desc()).limit(limit)).mappings().all()


def count_matching(connection: Connection, table: Table, wanted: JobFilter, *, before: UUID, most: int) -> int | None:
    """Return the number of jobs that :func:`matching_jobs` would find, or None if there are more than ``most``."""
    statement = narrowed(select(table.c.id), table, wanted, before)
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
