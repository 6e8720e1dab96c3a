"""Arrays of values as a table in a statement: ``unnest`` with names and types."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import ARRAY, TableValuedAlias, bindparam, column, func
from sqlalchemy.types import TypeEngine


def batch(**columns: TypeEngine[Any]) -> TableValuedAlias:
    """Return a table ``batch`` whose columns are array parameters, as :func:`arrays` names them.

    A join on it keeps index lookups and partition pruning, which ``= ANY(array)`` loses.
    """
    return (
        func.unnest(*(bindparam(f"all_{name}", type_=ARRAY(kind)) for name, kind in columns.items()))
        .table_valued(*(column(name, kind) for name, kind in columns.items()), name="batch")
        .render_derived()
    )


def arrays(names: Collection[str], rows: Iterable[tuple[object, ...]]) -> dict[str, list[object]]:
    """Return the parameters of a :func:`batch` statement: one list a column, empty ones without rows."""
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return {f"all_{name}": list(values) for name, values in zip(names, columns, strict=True)}
