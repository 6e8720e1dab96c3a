"""History as a stream of rows, oldest first, in pieces: neither side holds more than one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    RowMapping,
    Text,
    and_,
    case,
    cast,
    extract,
    func,
    or_,
    select,
    true,
)

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
_history: Final = job_history.c


def _seconds(interval: ColumnElement[Any]) -> ColumnElement[float]:
    return cast(extract("epoch", interval), Double)


#: What follows from the other columns, as in ``analytics.jobs``.
DERIVED: Final[Mapping[str, ColumnElement[Any]]] = {
    "wait_seconds": case(
        (
            _history.started_at.is_not(None),
            func.greatest(0, _seconds(_history.started_at - func.greatest(_history.created_at, _history.scheduled_at))),
        )
    ),
    "run_seconds": _seconds(_history.finished_at - _history.attempt_started_at),
    "error_type": _history.error["type"].astext,
}
#: What every exported row has, in this order; an option that is new comes last.
COLUMNS: Final = (
    *_COLUMNS,
    *DERIVED,
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
    connection: Connection, job_filter: JobFilter, *, after: UUID | None, scan_limit: int, extra: Sequence[str] = ()
) -> Piece:
    """Return the finished jobs of the filter among the next ``scan_limit`` after the id ``after``.

    Rows have :data:`COLUMNS`, then ``extra`` of :data:`EXTRA`; JSON columns are text. Erased jobs are left out. However
    few jobs fit, a call reads no more than ``scan_limit`` rows, by the index of one condition.
    """
    indexed = indexed_parts(job_history, job_filter)[0]
    columns = (*COLUMNS, *extra)
    jobs = select(
        *(_shown(name) for name in columns),
        and_(true(), job_history.c.deleted.is_(False), *conditions_of(job_history.c, job_filter)).label("fits"),
    ).where(*_after(after))
    found = by_index(jobs, job_history, indexed).limit(scan_limit).cte("found")
    last = select(found.c.id).order_by(found.c.id.desc()).limit(1).scalar_subquery()
    statement = select(found).where(or_(found.c.fits, found.c.id == last)).order_by(found.c.id)
    read_in_order(connection)
    rows = connection.execute(statement).mappings().all()
    return Piece([row for row in rows if row["fits"]], rows[-1]["id"] if rows else None)


def _after(last: UUID | None) -> list[ColumnElement[bool]]:
    """Return the condition on the id, and the same on the time: that leaves out earlier partitions."""
    return [] if last is None else [job_history.c.id > last, job_history.c.created_at >= created_at_of(last)]


def _shown(name: str) -> ColumnElement[Any]:
    if name in JSON_COLUMNS:
        return cast(_history[name], Text).label(name)
    return DERIVED[name].label(name) if name in DERIVED else _history[name]
