"""Many rows as one JSON parameter, which a statement reads as a table."""

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
    """Return a CTE ``rowset`` with these columns, whose rows are the parameter that :func:`rowset_of` makes.

    SQL: ``WITH rowset AS MATERIALIZED (SELECT … FROM json_to_recordset(CAST(:rowset AS json)) AS rows (id uuid, …))``.

    One array for each column would do the same, but psycopg converts every element in Python, which takes several times
    as long as this JSON; PostgreSQL reads both equally fast.
    """
    rows = (
        func.json_to_recordset(cast(bindparam("rowset", type_=Text), JSON))
        .table_valued(*(column(name, kind) for name, kind in columns.items()), name="rows")
        .render_derived(with_types=True)
    )
    return select(*rows.c).cte("rowset").prefix_with("MATERIALIZED")


def each(rows: CTE, lookup: Select[Any], *, isouter: bool = False) -> tuple[Join, FromClause]:
    """Return ``rows`` joined with ``lookup``, and the lookup's side of the join.

    SQL: ``rows JOIN LATERAL (lookup) AS found ON true``; LEFT JOIN where ``isouter``.

    A plain join leaves the planner free to read the whole other table. That looks best while the table is small, and a
    prepared statement keeps such a plan while the table grows. This join runs ``lookup`` once for each row, in the
    order of the rows, if ``lookup`` ends in FOR UPDATE or LIMIT: the planner cannot flatten such a subquery.

    Args:
        rows: mostly a :func:`rowset`.
        lookup: a SELECT whose WHERE names columns of ``rows``.
        isouter: keep rows for which the lookup finds nothing.
    """
    lateral = lookup.lateral("found")
    return rows.join(lateral, true(), isouter=isouter), lateral


def among(key: Column[Any], table: CTE) -> ColumnElement[bool]:
    """Return the condition that ``key`` is one of the ids of ``table``.

    SQL: ``key = ANY(ARRAY(SELECT id FROM table))``, which forces one index lookup for each id.
    """
    return key == any_(func.array(select(table.c.id).scalar_subquery(), type_=Uuid))


def rowset_of(rows: Iterable[Mapping[str, object]]) -> dict[str, str]:
    """Return the parameter of a statement with a :func:`rowset`. Each row maps column names to values; None is NULL.

    Raises:
        TypeError: a value has no JSON form, or a string has half a surrogate pair.
    """
    table = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return {"rowset": orjson.dumps(table, default=_text_of).decode()}


def _text_of(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"  # as PostgreSQL reads a bytea
    raise TypeError(f"{type(value).__name__} has no JSON form")
