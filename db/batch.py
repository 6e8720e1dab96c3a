"""Many rows as one parameter: a table in a statement, whose rows come as JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import orjson
from sqlalchemy import CTE, JSON, Column, ColumnElement, Text, Uuid, any_, bindparam, cast, column, func, select
from sqlalchemy.types import TypeEngine


def batch(**columns: TypeEngine[Any]) -> CTE:
    """Return a table ``batch`` with these columns; its rows are the parameter that :func:`batch_of` makes.

    One array a column would do the same, but psycopg looks at every element in Python, which takes several times as
    long as this JSON; PostgreSQL reads both equally fast.
    """
    rows = (
        func.json_to_recordset(cast(bindparam("batch", type_=Text), JSON))
        .table_valued(*(column(name, kind) for name, kind in columns.items()), name="rows")
        .render_derived(with_types=True)
    )
    return select(*rows.c).cte("batch").prefix_with("MATERIALIZED")


def among(key: Column[Any], table: CTE) -> ColumnElement[bool]:
    """Say that ``key`` is one of ``table``'s ids, beside a join that says so too.

    The join alone leaves the planner free to read all of the other table first, which looks cheap while that is small;
    a prepared statement keeps such a plan while the table grows. With this it looks the ids up, however it joins. (It
    cannot stand for the join where there are partitions, as it leaves out none of them.)
    """
    return key == any_(func.array(select(table.c.id).scalar_subquery(), type_=Uuid))


def batch_of(names: Collection[str], rows: Iterable[tuple[object, ...]]) -> dict[str, str]:
    """Return the parameter of a statement with a :func:`batch`: its rows, with the values in the order of ``names``.

    Raises:
        TypeError: a value has no JSON form; so has a string with half a surrogate pair.
    """
    table = [{name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows]
    return {"batch": orjson.dumps(table, default=_text_of).decode()}


def _text_of(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"  # as PostgreSQL reads a bytea
    raise TypeError(f"{type(value).__name__} has no JSON form")
