"""Moving a live row into ``job_history``: the part that every terminal transition shares."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CTE, ColumnElement, func, insert, literal, null, select

from db.models import job_history, jobs

#: What a history row takes over from the live one as it is.
_KEPT = [column.name for column in jobs.c if column.name in job_history.c and column.name != "status"]


def into_history(gone: CTE, **values: ColumnElement[Any]) -> CTE:
    """Return the INSERT of the deleted rows ``gone`` (all columns of ``jobs``) as a CTE.

    ``values`` must give ``status`` and may give ``result`` and ``error``; ``finished_at`` is the transaction's time.
    """
    columns: dict[str, ColumnElement[Any]] = {name: gone.c[name] for name in _KEPT}
    columns |= {"finished_at": func.now(), "result": null(), "erased_at": null(), "deleted": literal(value=False)}
    columns["revision"] = gone.c.revision + 1
    columns |= values
    source = select(*(value.label(name) for name, value in columns.items()))
    return insert(job_history).from_select(list(columns), source).cte("kept")
