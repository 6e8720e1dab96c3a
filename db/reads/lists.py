"""Lists of jobs, live and finished, page by page: a page costs its own size, whatever the filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    CompoundSelect,
    Connection,
    RowMapping,
    Select,
    Table,
    Uuid,
    column,
    func,
    literal,
    select,
    union_all,
)

from callboard.db.models import job_history, jobs
from callboard.db.models.job_view import view_of
from callboard.db.reads.indexed import by_index, index_order, indexed_parts, read_in_order
from callboard.db.reads.job_filter import JobFilter, conditions_of, narrowed
from callboard.db.rules.states import LIVE, TERMINAL

#: Most rows of one table that a page reads where no index covers the whole filter.
SCAN_LIMIT: Final = 1000
#: Most jobs that are counted.
MOST_COUNTED: Final = 10_000

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
    connection: Connection,
    job_filter: JobFilter,
    *,
    limit: int,
    before: UUID | None = None,
    scan_limit: int = SCAN_LIMIT,
) -> JobPage:
    """Return up to ``limit`` jobs, newest first; those older than the id ``before``.

    Live and finished jobs are one list: each table gives its newest jobs, in the order of an index. A page reads about
    ``scan_limit`` rows of each table. Where few of them fit the rest of the filter, the page has fewer than ``limit``
    jobs, or none, and is not the last.
    """
    filters = {table: part for table in (jobs, job_history) if (part := _of_table(table, job_filter)) is not None}
    read_in_order(connection)
    found_by, edge = _edge(connection, filters, before, scan_limit)
    parts = [_page_of(table, filters[table], found_by[table], before, edge, limit + 1) for table in filters]
    # One more than the page holds tells whether there is another.
    rows = connection.execute(_newest(union_all(*parts), limit + 1)).mappings().all()
    return JobPage(rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else edge)


@dataclass(frozen=True, slots=True)
class JobCount:
    """How many jobs a list has."""

    count: int
    more: bool
    """Whether there are more, or may be: counting ended here."""


def count_jobs(connection: Connection, job_filter: JobFilter, *, most: int = MOST_COUNTED) -> JobCount:
    """Return how many jobs :func:`list_jobs` has on all its pages.

    Counts up to ``most``. Where no index covers the whole filter, it counts those among about so many of the newest.
    """
    filters = {table: part for table in (jobs, job_history) if (part := _of_table(table, job_filter)) is not None}
    read_in_order(connection)
    found_by, edge = _edge(connection, filters, None, most)
    parts = [_page_of(table, filters[table], found_by[table], None, edge, most + 1) for table in filters]
    found: int = connection.execute(select(func.count()).select_from(union_all(*parts).subquery())).scalar_one()
    return JobCount(min(found, most), more=found > most or edge is not None)


def _of_table(table: Table, job_filter: JobFilter) -> JobFilter | None:
    """Return the filter for one table; None: no job of this table can fit."""
    statuses = job_filter.statuses & _STATUSES[table]
    if job_filter.statuses and not statuses:
        return None
    return replace(
        job_filter, statuses=frozenset() if statuses == _STATUSES[table] else statuses, tags=job_filter.tags or None
    )


def _edge(
    connection: Connection, filters: dict[Table, JobFilter], before: UUID | None, scan_limit: int
) -> tuple[dict[Table, JobFilter], UUID | None]:
    """Return the part of its filter by which each table is searched, and the oldest id that the page may show.

    The part is the one that reaches furthest back within ``scan_limit`` rows. The id is None where the page may show
    all.
    """
    chosen = {
        table: job_filter for table, job_filter in filters.items() if job_filter in indexed_parts(table, job_filter)
    }
    candidates = [
        (table, part)
        for table, job_filter in filters.items()
        if table not in chosen
        for part in indexed_parts(table, job_filter)
    ]
    if not candidates:
        return chosen, None
    edges = [
        select(literal(number).label("number"), _nth(table, part, before, scan_limit).label("edge"))
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
    table: Table, job_filter: JobFilter, found_by: JobFilter, before: UUID | None, edge: UUID | None, limit: int
) -> Select[Any]:
    views = narrowed(view_of(table, result=False), table, JobFilter(), before)
    found = by_index(views, table, found_by, newest_first=True)
    if edge is not None:
        found = found.where(table.c.id >= literal(edge, Uuid))
    if table is job_history:
        found = found.where(job_history.c.deleted.is_(False))
    if job_filter == found_by:
        return found.limit(limit)
    # OFFSET 0: by the index that was chosen, whatever the planner thinks of the rest.
    fitting = select(*_SHOWN.values()).select_from(found.offset(0).subquery()).where(*conditions_of(_SHOWN, job_filter))
    return fitting.order_by(*index_order(_SHOWN, found_by, newest_first=True)).limit(limit)


def _newest(views: CompoundSelect[Any], limit: int) -> Select[Any]:
    return select(*_SHOWN.values()).select_from(views.subquery()).order_by(_SHOWN["id"].desc()).limit(limit)
