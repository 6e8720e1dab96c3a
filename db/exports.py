"""History as a stream of rows, oldest first: piece by piece, so that neither side holds more than one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Text, and_, cast, or_, select, true

from db.ids import created_at_of, first_id
from db.models import job_history
from db.queries import JobFilter, conditions_of
from db.states import TERMINAL, Status

#: What every exported row has, in this order.
COLUMNS: Final = (
    "id", "type", "queue", "status", "priority", "owner", "tags", "attempt", "retries", "max_retries", "time_limit",
    "created_at", "scheduled_at", "started_at", "attempt_started_at", "finished_at", "expires_at",
    "cancel_requested_at", "parent_id", "worker", "error",
)  # fmt: skip
#: What it has if asked for.
EXTRA: Final = ("payload", "result")
#: Passed on as PostgreSQL writes it: JSON that nobody here looks into.
JSON_COLUMNS: Final = frozenset({"tags", "error", *EXTRA})


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of an export."""

    rows: Sequence[RowMapping]
    """Those that fit, maybe none, in the order of their ids."""
    last: UUID | None
    """The next piece comes after this id; None: there is none."""


def export_piece(
    connection: Connection, wanted: JobFilter, *, after: UUID | None, looked_at: int, extra: Sequence[str] = ()
) -> Piece:
    """Return the finished jobs of the filter among the next ``looked_at`` after the id ``after``.

    Rows have :data:`COLUMNS`, then ``extra`` of :data:`EXTRA`; JSON columns are text. Erased jobs are not among them.
    However few jobs fit, a call reads no more than it looks at: those that one condition finds by its index.
    """
    indexed = _indexed(wanted)
    columns = (*COLUMNS, *extra)
    found = (
        select(
            *(_shown(job_history.c[name]) for name in columns),
            and_(true(), job_history.c.deleted.is_(False), *conditions_of(job_history, wanted)).label("fits"),
        )
        .where(*conditions_of(job_history, indexed), *_span(wanted, after))
        .order_by(job_history.c.id)
        .limit(looked_at)
        .cte("found")
    )
    last = select(found.c.id).order_by(found.c.id.desc()).limit(1).scalar_subquery()
    statement = select(found).where(or_(found.c.fits, found.c.id == last)).order_by(found.c.id)
    rows = connection.execute(statement).mappings().all()
    return Piece([row for row in rows if row["fits"]], rows[-1]["id"] if rows else None)


def _indexed(wanted: JobFilter) -> JobFilter:
    """Return the one condition of the filter, and the times, that an index in the order of ids knows."""
    times = replace(JobFilter(), created_after=wanted.created_after, created_before=wanted.created_before)
    if wanted.parent_id is not None:
        return replace(times, parent_id=wanted.parent_id)
    if wanted.owner is not None:
        return replace(times, owner=wanted.owner)
    if len(wanted.statuses & TERMINAL) == 1 and Status.SUCCEEDED not in wanted.statuses:
        return replace(times, statuses=wanted.statuses & TERMINAL)
    return times if wanted.type is None else replace(times, type=wanted.type)


def _span(wanted: JobFilter, after: UUID | None) -> list[ColumnElement[bool]]:
    """Say of ids what the filter says of times, for the index, and of times what ``after`` says, for the partitions."""
    conditions = []
    if wanted.created_after is not None:
        conditions.append(job_history.c.id >= first_id(wanted.created_after))
    if wanted.created_before is not None:
        conditions.append(job_history.c.id < first_id(wanted.created_before))
    if after is not None:
        conditions += [job_history.c.id > after, job_history.c.created_at >= created_at_of(after)]
    return conditions


def _shown(column: Column[Any]) -> ColumnElement[Any]:
    return cast(column, Text).label(column.name) if column.name in JSON_COLUMNS else column
