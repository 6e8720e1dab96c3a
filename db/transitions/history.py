"""SQL on ``job_history`` that the verbs share: moving a live row into it, and locking some of its rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Uuid, and_, bindparam, func, insert, literal, null, select

from callboard.db.models import TIME, job_history, jobs
from callboard.db.rules.ids import created_at_of
from callboard.db.sql.rowset import each, rowset, rowset_of

#: Columns that a history row has from the live row, unchanged.
_KEPT = [column.name for column in jobs.c if column.name in job_history.c and column.name != "status"]


def into_history(gone: CTE, **values: ColumnElement[Any]) -> CTE:
    """Return a CTE that inserts the rows ``gone``, which are deleted from ``jobs``, into ``job_history``.

    SQL: ``INSERT INTO … SELECT … FROM gone``.

    Args:
        gone: has all columns of ``jobs``.
        values: must have ``status`` and may have ``result``, ``error`` and other columns. ``finished_at`` is the
            transaction's time.
    """
    columns: dict[str, ColumnElement[Any]] = {name: gone.c[name] for name in _KEPT}
    columns |= {"finished_at": func.now(), "result": null(), "erased_at": null(), "deleted": literal(value=False)}
    columns["revision"] = gone.c.revision + 1
    columns |= values
    source = select(*(value.label(name) for name, value in columns.items()))
    return insert(job_history).from_select(list(columns), source).cte("kept")


_ids = rowset(id=Uuid(), created_at=TIME)


def held(*conditions: ColumnElement[bool]) -> CTE:
    """Return a CTE that locks the rows of ``job_history`` that :func:`parameters_of` names and ``conditions`` allow.

    SQL: ``SELECT id, created_at FROM rowset JOIN LATERAL (SELECT … FROM job_history … FOR UPDATE) …``.
    """
    # Locked in the order of their ids, as everywhere.
    joined, locked = each(
        _ids,
        select(job_history.c.id, job_history.c.created_at)
        .where(job_history.c.id == _ids.c.id, job_history.c.created_at == _ids.c.created_at, *conditions)
        .with_for_update(),
    )
    return select(*locked.c).select_from(joined).cte("held").prefix_with("MATERIALIZED")


def is_held(rows: CTE) -> ColumnElement[bool]:
    """Return the condition that a row of ``job_history`` is one of ``rows``, which are :func:`held`.

    SQL: ``job_history.id = held.id AND job_history.created_at = held.created_at AND …``.
    """
    return and_(
        job_history.c.id == rows.c.id,
        job_history.c.created_at == rows.c.created_at,
        # Redundant, but it leaves out other partitions: where rows are changed, a join cannot.
        job_history.c.created_at.between(bindparam("first", type_=TIME), bindparam("last", type_=TIME)),
    )


def parameters_of(job_ids: Collection[UUID]) -> dict[str, object]:
    """Return the parameters of a statement with :func:`held` and :func:`is_held`."""
    times = {job_id: created_at_of(job_id) for job_id in sorted(job_ids)}
    rows = ({"id": job_id, "created_at": created_at} for job_id, created_at in times.items())
    return {**rowset_of(rows), "first": min(times.values()), "last": max(times.values())}
