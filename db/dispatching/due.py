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
        (queues.c.rate_limit / queues.c.rate_period).label("per_second"),
    )
    .select_from(queues.join(_first, true()))
    .where(queues.c.paused.is_(False))
    .cte("with_jobs")
    .prefix_with("MATERIALIZED")
)
# Locks, and counts nothing: a statement's snapshot is older than the locks that it takes. Another dispatcher may have
# marked jobs and released the lock in between. The statements after this one see all that was committed before it.
_take_queues = PreparedStatement(
    select(
        _with_jobs.c.name,
        func.coalesce(_with_jobs.c.dispatch_window, bindparam("window", type_=Integer)).label("window"),
        _with_jobs.c.per_second,
    ).where(try_lock(queue_lock(_with_jobs.c.name)))
)
_running = jobs.c.status == Status.RUNNING
_of_queue = (
    select(func.count().filter(_running).label("running"), func.count().filter(~_running).label("sent"))
    .where(jobs.c.queue == queues.c.name, jobs.c.dispatched_at.is_not(None))
    .lateral("of_queue")
)
# Counted only where there is a limit.
_count_in_flight = PreparedStatement(
    select(queues.c.name, (queues.c.concurrency_limit - _of_queue.c.running).label("startable"), _of_queue.c.sent)
    .select_from(queues.join(_of_queue, true()))
    .where(queues.c.concurrency_limit.is_not(None))
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
    """Jobs that may run beside those that run now; None: any number."""
    rate: Rate | None = None
    """Jobs that may start per time; None: any number."""
    sent: int = 0
    """Jobs marked as sent that do not run yet; counted where ``startable`` is."""

    @property
    def bounds_starts(self) -> bool:
        """Whether more than the window bounds what is dispatched: then nothing may be sent that does not count."""
        return self.startable is not None or self.rate is not None

    def capacity(self, depth: int) -> int:
        """Return how many messages may be published while ``depth`` messages wait in the broker."""
        bounds = [self.window - depth]
        if self.startable is not None:
            # A message may have no mark: of a job that was amended, or of a queue that was paused in between. A marked
            # job's message may be with a worker already. So the greater of the two counts.
            bounds.append(self.startable - max(self.sent, depth))
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

    One round trip. What other dispatchers have marked before they released a queue is counted. The transaction's commit
    does not wait for the disk, as for :func:`mark_dispatched`.

    Args:
        connection: in a transaction, READ COMMITTED.
        default_window: the window of queues that set none.
        first_jobs: return at most so many jobs of each queue in the same round trip.
    """
    _, taken, counted, *job_rows = execute_together(
        connection,
        NOT_DURABLE,  # a lock is a write to its row
        (_take_queues, {"window": default_window}),
        (_count_in_flight, {}),
        *([(_first_jobs_of_all, {"at_most": first_jobs})] if first_jobs else ()),
    )
    in_flight = {row["name"]: row for row in counted}
    limits = {row["name"]: _limits(row, in_flight.get(row["name"])) for row in taken}
    return TakenQueues(limits, [row for rows in job_rows for row in rows if row["queue"] in limits])


def _limits(taken: RowDict, in_flight: RowDict | None) -> QueueLimits:
    rate = Rate(taken["per_second"]) if taken["per_second"] else None
    if in_flight is None:
        return QueueLimits(taken["window"], startable=None, rate=rate)
    return QueueLimits(taken["window"], in_flight["startable"], rate, in_flight["sent"])


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
