"""Lists of jobs, live and finished, page by page: a page costs as much as itself, whatever is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CompoundSelect, Connection, RowMapping, Select, Table, Uuid, column, literal, select, union_all

from callboard.db.models import job_history, jobs
from callboard.db.models.job_view import view_of
from callboard.db.reads.indexed import by_index, index_order, indexed_parts, read_in_order
from callboard.db.reads.job_filter import JobFilter, conditions_of, narrowed
from callboard.db.rules.states import LIVE, TERMINAL

#: Jobs of one table that a page looks at, at most, where no index knows all that the filter asks for.
LOOKED_AT: Final = 1000

_STATUSES: Final = {jobs: LIVE, job_history: TERMINAL}
#: The columns of a page by name alone: SQLAlchemy takes milliseconds to make those of each subquery.
_SHOWN: Final = {shown.name: column(shown.name, shown.type) for shown in view_of(jobs, result=False).selected_columns}


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of a list."""

    rows: Sequence[RowMapping]
    """Job views (``callboard.db.models.job_view``) without results, newest first."""
    following: UUID | None
    """The next page has those older than this id; None: there is none."""


def list_jobs(
    connection: Connection, wanted: JobFilter, *, limit: int, before: UUID | None = None, looked_at: int = LOOKED_AT
) -> JobPage:
    """Return up to ``limit`` jobs, newest first; those older than the id ``before``.

    Live and finished jobs are one list: each table gives its newest, in the order of an index. Where few of the jobs
    that the index finds fit the rest of the filter, a page has fewer than ``limit`` jobs, or none, and is not the last:
    it looks at ``looked_at`` of each table, about.
    """
    filters = {table: found for table in (jobs, job_history) if (found := _of_table(table, wanted)) is not None}
    read_in_order(connection)
    found_by, edge = _edge(connection, filters, before, looked_at)
    parts = [_page_of(table, filters[table], found_by[table], before, edge, limit + 1) for table in filters]
    # One more than the page holds tells whether there is another.
    rows = connection.execute(_newest(union_all(*parts), limit + 1)).mappings().all()
    return JobPage(rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else edge)


def _of_table(table: Table, wanted: JobFilter) -> JobFilter | None:
    """Return what the filter asks of the jobs of one table; None: no job of it fits."""
    statuses = wanted.statuses & _STATUSES[table]
    if wanted.statuses and not statuses:
        return None
    return replace(wanted, statuses=frozenset() if statuses == _STATUSES[table] else statuses, tags=wanted.tags or None)


def _edge(
    connection: Connection, filters: dict[Table, JobFilter], before: UUID | None, looked_at: int
) -> tuple[dict[Table, JobFilter], UUID | None]:
    """Return by which part of its filter each table is searched, and the oldest id that the page may show.

    The part is the one that reaches furthest back with so many jobs. The id is None where the page may show all.
    """
    chosen = {table: wanted for table, wanted in filters.items() if wanted in indexed_parts(table, wanted)}
    candidates = [
        (table, part)
        for table, wanted in filters.items()
        if table not in chosen
        for part in indexed_parts(table, wanted)
    ]
    if not candidates:
        return chosen, None
    edges = [
        select(literal(number).label("number"), _nth(table, part, before, looked_at).label("edge"))
        for number, (table, part) in enumerate(candidates)
    ]
    reached: dict[Table, UUID | None] = {}
    for number, edge in connection.execute(union_all(*edges)):
        table, part = candidates[number]
        if table not in reached or _reaches_further(edge, reached[table]):
            chosen[table], reached[table] = part, edge
    return chosen, max((edge for edge in reached.values() if edge is not None), default=None)


def _reaches_further(edge: UUID | None, other: UUID | None) -> bool:
    return other is not None and (edge is None or edge < other)


def _nth(table: Table, part: JobFilter, before: UUID | None, number: int) -> Any:
    """Find the id by the index alone."""
    ids = by_index(narrowed(select(table.c.id), table, JobFilter(), before), table, part, newest_first=True)
    return ids.offset(number).limit(1).scalar_subquery()


def _page_of(
    table: Table, wanted: JobFilter, found_by: JobFilter, before: UUID | None, edge: UUID | None, limit: int
) -> Select[Any]:
    views = narrowed(view_of(table, result=False), table, JobFilter(), before)
    found = by_index(views, table, found_by, newest_first=True)
    if edge is not None:
        found = found.where(table.c.id >= literal(edge, Uuid))
    if table is job_history:
        found = found.where(job_history.c.deleted.is_(False))
    if wanted == found_by:
        return found.limit(limit)
    # OFFSET 0: by the index that was chosen, whatever the planner thinks of the rest.
    fitting = select(*_SHOWN.values()).select_from(found.offset(0).subquery()).where(*conditions_of(_SHOWN, wanted))
    return fitting.order_by(*index_order(_SHOWN, found_by, newest_first=True)).limit(limit)


def _newest(views: CompoundSelect[Any], limit: int) -> Select[Any]:
    return select(*_SHOWN.values()).select_from(views.subquery()).order_by(_SHOWN["id"].desc()).limit(limit)
