"""Queues: their settings, and the numbers of their jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, func, select, update
from sqlalchemy.dialects.postgresql import insert

from callboard.db.models import job_history, jobs, queues
from callboard.db.models.job_view import due_since
from callboard.db.rules.states import WAITING, Status


def ensure_queues(connection: Connection, names: Iterable[str]) -> None:
    """Make the queues that do not exist yet, unpaused and without limits."""
    rows = [{"name": name} for name in sorted(set(names))]
    if rows:
        connection.execute(insert(queues).values(rows).on_conflict_do_nothing())


def queue_names(connection: Connection) -> set[str]:
    """Return the names of all queues."""
    return set(connection.execute(select(queues.c.name)).scalars())


@dataclass(frozen=True, slots=True)
class QueueChange:
    """New values by column: ``paused``, ``dispatch_window``, ``concurrency_limit``, ``rate_limit`` and ``rate_period``
    together. Columns left out stay.
    """

    values: Mapping[str, bool | float | None]


def change_queue(connection: Connection, name: str, change: QueueChange) -> bool:
    """Change a queue's settings, with effect on the jobs that wait in it; False when there is no such queue.

    Jobs whose messages were dropped by workers while the queue was paused are dispatched again by reconciling.
    """
    changed = connection.execute(
        update(queues).where(queues.c.name == name).values(**change.values, updated_at=func.now())
    ).rowcount
    return changed == 1


_waiting = jobs.c.status.in_(sorted(WAITING))
_live = (
    select(
        jobs.c.queue,
        func.count().filter(_waiting).label("waiting"),
        func.count().filter(jobs.c.status == Status.RUNNING).label("running"),
        func.extract("epoch", func.now() - func.min(due_since).filter(jobs.c.status == Status.QUEUED)).label(
            "oldest_waiting_age"
        ),
    )
    .group_by(jobs.c.queue)
    .subquery("live")
)
_last_minute = (
    select(job_history.c.queue, func.count().label("finished"))
    .where(
        job_history.c.finished_at > func.now() - func.make_interval(0, 0, 0, 0, 0, 1),
        # A job that was made long ago and ended just now is rare; without this bound every partition is opened.
        job_history.c.created_at > func.now() - func.make_interval(0, 0, 0, 32),
    )
    .group_by(job_history.c.queue)
    .subquery("last_minute")
)
_overview = (
    select(
        *queues.c,
        func.coalesce(_live.c.waiting, 0).label("waiting"),
        func.coalesce(_live.c.running, 0).label("running"),
        _live.c.oldest_waiting_age,
        func.coalesce(_last_minute.c.finished, 0).label("throughput"),
    )
    .select_from(
        queues.outerjoin(_live, _live.c.queue == queues.c.name).outerjoin(
            _last_minute, _last_minute.c.queue == queues.c.name
        )
    )
    .order_by(queues.c.name)
)


def list_queues(connection: Connection) -> Sequence[RowMapping]:
    """Return all queues: their columns, and ``waiting``, ``running`` (jobs), ``oldest_waiting_age`` (seconds
    since the queued job that waits longest was due, or None), ``throughput`` (jobs that ended in the last minute).
    """
    return connection.execute(_overview).mappings().all()
