"""Jobs whose rule is much shorter than that of their month: what they held is erased, a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

#: A rule that ends at most so long before the whole month may go waits for that: dropping costs nothing.
_PATIENCE: Final = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Sweep:
    """How far one pass over history has come: jobs of ``job_type`` up to ``job_id`` are done, and all types before."""

    job_type: str
    job_id: UUID


START: Final = Sweep("", UUID(int=0))


def sweep(connection: Connection, position: Sweep, *, limit: int = 1000) -> Sweep | None:
    """Look at up to ``limit`` jobs from ``position`` on and erase what those held whose rule has let them go.

    The rows stay, as after a client's erasure, until their month goes. Jobs that were erased before are passed over.
    The bytes of files are left to ``callboard remove-orphaned-files``.

    Returns:
        Where to go on; None when the pass is over.
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
    keeps = _short(rules, job_type, longest=rules.longest(job_types))
    rows = _jobs_of(connection, position, before=now - min(keeps.values()), limit=limit) if keeps else []
    past = [
        row.id for row in rows if not row.deleted and row.status in keeps and row.finished_at < now - keeps[row.status]
    ]
    if past:
        delete_outputs(connection, sorted(erase_all(connection, past)))
    # The next type begins right after this one's name.
    return Sweep(job_type, rows[-1].id) if len(rows) == limit else Sweep(f"{job_type}\x01", START.job_id)


def _short(rules: Rules, job_type: str, *, longest: timedelta) -> dict[str, timedelta]:
    """Return how long jobs are kept, by outcome, where that is much shorter than a month must stay."""
    keeps = {outcome.value: rules.keep(job_type, outcome) for outcome in TERMINAL}
    return {outcome: keep for outcome, keep in keeps.items() if keep < longest - _PATIENCE}


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
            # The same again, for partitions to be left out.
            columns.created_at >= created_at_of(position.job_id),
            columns.created_at < before,
        )
        .order_by(columns.id)
        .limit(limit)
    )
    return connection.execute(statement).all()
