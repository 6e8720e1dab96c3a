"""History as a stream of rows, oldest first: piece by piece, so that neither side holds more than one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Text, and_, cast, or_, select, true

from callboard.db.models import job_history
from callboard.db.reads.indexed import by_index, indexed_parts, read_in_order
from callboard.db.reads.job_filter import JobFilter, conditions_of
from callboard.db.rules.ids import created_at_of
from callboard.db.rules.new_job import OPTIONS

_COLUMNS: Final = (
    "id", "type", "queue", "status", "priority", "owner", "tags", "attempt", "retries", "max_retries", "time_limit",
    "created_at", "scheduled_at", "started_at", "attempt_started_at", "finished_at", "expires_at",
    "cancel_requested_at", "parent_id", "worker", "error",
)  # fmt: skip
#: What every exported row has, in this order; an option that is new comes last.
COLUMNS: Final = (
    *_COLUMNS,
    *(name for name, option in OPTIONS.items() if option.shown and name not in _COLUMNS),
)
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
    indexed = indexed_parts(job_history, wanted)[0]
    columns = (*COLUMNS, *extra)
    jobs = select(
        *(_shown(job_history.c[name]) for name in columns),
        and_(true(), job_history.c.deleted.is_(False), *conditions_of(job_history.c, wanted)).label("fits"),
    ).where(*_after(after))
    found = by_index(jobs, job_history, indexed).limit(looked_at).cte("found")
    last = select(found.c.id).order_by(found.c.id.desc()).limit(1).scalar_subquery()
    statement = select(found).where(or_(found.c.fits, found.c.id == last)).order_by(found.c.id)
    read_in_order(connection)
    rows = connection.execute(statement).mappings().all()
    return Piece([row for row in rows if row["fits"]], rows[-1]["id"] if rows else None)


def _after(last: UUID | None) -> list[ColumnElement[bool]]:
    """Say of the time what the id says: it leaves out earlier partitions."""
    return [] if last is None else [job_history.c.id > last, job_history.c.created_at >= created_at_of(last)]


def _shown(column: Column[Any]) -> ColumnElement[Any]:
    return cast(column, Text).label(column.name) if column.name in JSON_COLUMNS else column
