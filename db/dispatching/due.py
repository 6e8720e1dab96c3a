"""The jobs that are due, for the dispatcher. Reads only; ``callboard.db.transitions`` has the verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Text,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    true,
)

from callboard.db.dispatching.rate_limits import Rate
from callboard.db.models import jobs, queues
from callboard.db.rules.states import Status
from callboard.db.sql.locks import queue_lock, try_lock
from callboard.db.sql.pipeline import NOT_DURABLE, PreparedStatement, RowDict, execute_together
from callboard.db.sql.rowset import rowset, rowset_of

_waits = (jobs.c.due_at.is_(None), jobs.c.dispatched_at.is_(None))
# A lateral join, and not EXISTS: the planner may turn that around and read all jobs that wait.
_first = select(jobs.c.id).where(jobs.c.queue == queues.c.name, *_waits).limit(1).lateral("first")
_with_jobs = (
    select(
        queues.c.name,
        queues.c.dispatch_window,
        queues.c.concurrency_limit,
        (queues.c.rate_limit / queues.c.rate_period).label("per_second"),
    )
    .select_from(queues.join(_first, true()))
    .where(queues.c.paused.is_(False))
    .cte("with_jobs")
    .prefix_with("MATERIALIZED")
)
_in_flight_count = (
    select(func.count()).where(jobs.c.queue == _with_jobs.c.name, jobs.c.dispatched_at.is_not(None)).scalar_subquery()
)
_take_queues = PreparedStatement(
    select(
        _with_jobs.c.name,
        func.coalesce(_with_jobs.c.dispatch_window, bindparam("window", type_=Integer)).label("window"),
        # Counted only where there is a limit. What is in the broker counts as if it ran.
        case((_with_jobs.c.concurrency_limit.is_not(None), _with_jobs.c.concurrency_limit - _in_flight_count)).label(
            "startable"
        ),
        _with_jobs.c.per_second,
    ).where(try_lock(queue_lock(_with_jobs.c.name)))
)


def _first_of(queue: ColumnElement[str], at_most: ColumnElement[int]) -> FromClause:
    """Return the first jobs of a queue that wait for dispatch, by priority (highest first), then by id (oldest first).

    SQL: ``LATERAL (SELECT … FROM jobs WHERE queue = :queue … ORDER BY priority DESC, id LIMIT :at_most)``.
    """
    return (
        select(jobs.c.id, (jobs.c.attempt + literal(1)).label("attempt"), jobs.c.type, jobs.c.queue, jobs.c.priority)
        .where(jobs.c.queue == queue, *_waits)
        .order_by(jobs.c.priority.desc(), jobs.c.id)
        .limit(at_most)
        .lateral("first_of")
    )


_first_jobs = _first_of(queues.c.name, bindparam("at_most", type_=Integer))
_first_jobs_of_all = PreparedStatement(
    select(*_first_jobs.c).select_from(queues.join(_first_jobs, true())).where(queues.c.paused.is_(False))
)


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """The limits on dispatching jobs of one queue."""

    window: int
    """Most messages that wait in the broker."""
    startable: int | None
    """Jobs that may start now; None: any number."""
    rate: Rate | None = None
    """Jobs that may start per time; None: any number."""

    def capacity(self, depth: int) -> int:
        """Return how many messages may be published while ``depth`` messages wait in the broker."""
        bounds = [self.window - depth]
        if self.startable is not None:
            bounds.append(self.startable)
        if self.rate is not None:
            # All messages in the broker may start at once, as soon as there are workers.
            bounds.append(self.rate.capacity - depth)
        return max(0, min(bounds))


@dataclass(frozen=True, slots=True)
class TakenQueues:
    """The queues that this transaction alone may dispatch until it ends."""

    limits: Mapping[str, QueueLimits]
    first_jobs: Sequence[RowDict]
    """The first jobs of these queues, as :func:`next_jobs` returns them."""


def take_queues(connection: Connection, *, default_window: int, first_jobs: int = 0) -> TakenQueues:
    """Lock the queues that have jobs to dispatch. Paused queues, and those locked by another dispatcher, are left out.

    The transaction's commit does not wait for the disk, as for :func:`mark_dispatched`.

    Args:
        connection: in a transaction.
        default_window: the window of queues that set none.
        first_jobs: return at most so many jobs of each queue in the same round trip.
    """
    _, limit_rows, *job_rows = execute_together(
        connection,
        NOT_DURABLE,  # a lock is a write to its row
        (_take_queues, {"window": default_window}),
        *([(_first_jobs_of_all, {"at_most": first_jobs})] if first_jobs else ()),
    )
    limits = {
        row["name"]: QueueLimits(
            row["window"], row["startable"], Rate(row["per_second"]) if row["per_second"] else None
        )
        for row in limit_rows
    }
    return TakenQueues(limits, [row for rows in job_rows for row in rows if row["queue"] in limits])


_capacities = rowset(queue=Text(), capacity=Integer())
_next = _first_of(_capacities.c.queue, _capacities.c.capacity)
_next_jobs = PreparedStatement(select(*_next.c).select_from(_capacities.join(_next, true())))


def next_jobs(connection: Connection, capacities: Mapping[str, int]) -> list[RowDict]:
    """Return up to ``capacities[queue]`` jobs of each queue, by priority (highest first), then by id (oldest first).

    Columns: ``id``, ``attempt`` (the one to start), ``type``, ``queue``, ``priority``.
    """
    parameters = rowset_of({"queue": queue, "capacity": capacity} for queue, capacity in sorted(capacities.items()))
    [rows] = execute_together(connection, (_next_jobs, parameters))
    return rows


_until_due = PreparedStatement(
    select(func.extract("epoch", func.min(jobs.c.due_at) - func.now()).label("seconds")).where(
        jobs.c.due_at.is_not(None), jobs.c.due_at < literal("infinity", jobs.c.due_at.type)
    )
)


def seconds_until_due(connection: Connection, *, commit: bool = False) -> float | None:
    """Return the seconds until the next scheduled or retrying job is due: 0 or less for now, None when there is none.

    Args:
        commit: also commit the transaction, in the same round trip.
    """
    [[row]] = execute_together(connection, (_until_due, {}), commit=commit)
    return None if row["seconds"] is None else float(row["seconds"])


_in_flight = select(jobs.c.queue).where(jobs.c.dispatched_at.is_not(None)).distinct()


def queues_in_flight(connection: Connection) -> list[str]:
    """Return the queues that have dispatched or running jobs."""
    return list(connection.execute(_in_flight).scalars())


_due_in = (
    select(jobs.c.id)
    .where(
        jobs.c.queue == bindparam("of_queue"),
        or_(jobs.c.due_at.is_(None), jobs.c.due_at <= func.now()),
        jobs.c.status != Status.RUNNING,
    )
    .limit(1)
)


def anything_due(connection: Connection, queue_names: Sequence[str]) -> bool:
    """Return whether a job in one of these queues could start now."""
    return any(connection.execute(_due_in, {"of_queue": name}).first() is not None for name in queue_names)
