"""Reads by one index: which part of a filter has an index, and statements that read in its order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, Table, any_, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY

from callboard.db.models import job_history, jobs
from callboard.db.reads.job_filter import Columns, JobFilter, conditions_of
from callboard.db.rules.states import Status
from callboard.db.sql.pipeline import PreparedStatement, StatementCall, execute_together


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


_IN_ORDER: Final[StatementCall] = (
    PreparedStatement(
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
