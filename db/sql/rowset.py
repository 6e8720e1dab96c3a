"""Many rows as one parameter: a table in a statement, whose rows come as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import (
    CTE,
    JSON,
    Column,
    ColumnElement,
    FromClause,
    Join,
    Select,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    column,
    func,
    select,
    true,
)
from sqlalchemy.types import TypeEngine


def rowset(**columns: TypeEngine[Any]) -> CTE:
    """Return a table ``rowset`` with these columns; its rows are the parameter that :func:`rowset_of` makes.

    One array a column would do the same, but psycopg looks at every element in Python, which takes several times as
    long as this JSON; PostgreSQL reads both equally fast.
    """
    rows = (
        func.json_to_recordset(cast(bindparam("rowset", type_=Text), JSON))
        .table_valued(*(column(name, kind) for name, kind in columns.items()), name="rows")
        .render_derived(with_types=True)
    )
    return select(*rows.c).cte("rowset").prefix_with("MATERIALIZED")


def each(rows: CTE, found: Select[Any], *, isouter: bool = False) -> tuple[Join, FromClause]:
    """Return the join of ``rows`` with ``found``, a lookup with one of them, and the lookup's side of it.

    A plain join leaves the planner free to read all of the other table, which looks best while that is small, and a
    prepared statement keeps such a plan while the table grows. This is one lookup a row, in the order of the rows,
    whatever the planner believes, if ``found`` ends in FOR UPDATE or LIMIT: such a subquery it must not dissolve.
    """
    lateral = found.lateral("found")
    return rows.join(lateral, true(), isouter=isouter), lateral


def among(key: Column[Any], table: CTE) -> ColumnElement[bool]:
    """SQL: ``key = ANY(ARRAY(SELECT id FROM table))``, which forces one index lookup per id."""
    return key == any_(func.array(select(table.c.id).scalar_subquery(), type_=Uuid))


def rowset_of(rows: Iterable[Mapping[str, object]]) -> dict[str, str]:
    """Return the parameter of a statement with a :func:`rowset`: its rows, each by the names of the columns.

    Raises:
        TypeError: a value has no JSON form; so has a string with half a surrogate pair.
    """
    table = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return {"rowset": orjson.dumps(table, default=_text_of).decode()}


def _text_of(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"  # as PostgreSQL reads a bytea
    raise TypeError(f"{type(value).__name__} has no JSON form")
