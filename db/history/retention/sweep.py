"""Erases the contents of jobs whose rule is much shorter than the time that their month stays, in small batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, func, select

from callboard.db.files.outputs import delete_outputs
from callboard.db.history.retention.rules import Rules, read_rules
from callboard.db.history.retention.types import types_in
from callboard.db.models import job_history
from callboard.db.rules.ids import created_at_of, first_id
from callboard.db.rules.states import TERMINAL
from callboard.db.transitions import erase_all

#: Jobs that would be erased at most so long before their month may go wait for that: dropping it costs nothing.
_NOT_WORTH_ERASING: Final = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Sweep:
    """How far one pass over history is: all types before ``job_type`` are done, and its jobs up to ``job_id``."""

    job_type: str
    job_id: UUID
    erased: int = field(default=0, compare=False)
    """Jobs that the call erased which has returned this."""


START: Final = Sweep("", UUID(int=0))


def sweep(connection: Connection, position: Sweep, *, limit: int = 1000) -> Sweep | None:
    """Check the next ``limit`` jobs after ``position`` and erase the contents of those that no rule keeps any longer.

    The rows stay, as after a client's erasure, until their month goes. Jobs that were erased before are skipped. The
    bytes of files are left to ``callboard remove-orphaned-files``.

    Returns:
        The position for the next call; None when the pass is over.
    """
    rules = read_rules(connection)
    if not rules:
        return None
    job_types = types_in(connection, job_history.fullname)
    job_type = next((name for name in job_types if name >= position.job_type), None)
    if job_type is None:
        return None
    if job_type != position.job_type:
        position = Sweep(job_type, START.job_id)
    now: datetime = connection.execute(select(func.now())).scalar_one()
    keeps = _short_keeps(rules, job_type, longest=rules.longest(job_types))
    rows = _jobs_of(connection, position, before=now - min(keeps.values()), limit=limit) if keeps else []
    overdue = [
        row.id for row in rows if not row.deleted and row.status in keeps and row.finished_at < now - keeps[row.status]
    ]
    erased = erase_all(connection, overdue) if overdue else set()
    if erased:
        delete_outputs(connection, sorted(erased))
    # No type comes between this one's name and the same with \x01, so the next call goes on with the next type.
    after, last = (job_type, rows[-1].id) if len(rows) == limit else (f"{job_type}\x01", START.job_id)
    return Sweep(after, last, len(erased))


def _short_keeps(rules: Rules, job_type: str, *, longest: timedelta) -> dict[str, timedelta]:
    """Return how long jobs are kept, by outcome, where that is much shorter than a month must stay."""
    keeps = {outcome.value: rules.keep(job_type, outcome) for outcome in TERMINAL}
    return {outcome: keep for outcome, keep in keeps.items() if keep < longest - _NOT_WORTH_ERASING}


def _jobs_of(
    connection: Connection, position: Sweep, *, before: datetime, limit: int
) -> Sequence[Row[Any, Any, Any, Any]]:
    columns = job_history.c
    statement = (
        select(columns.id, columns.status, columns.finished_at, columns.deleted)
        .where(
            columns.type == position.job_type,
            columns.id > position.job_id,
            columns.id < first_id(before),
            # The ids say the same; the times let the planner leave out partitions.
            columns.created_at >= created_at_of(position.job_id),
            columns.created_at < before,
        )
        .order_by(columns.id)
        .limit(limit)
    )
    return connection.execute(statement).all()
