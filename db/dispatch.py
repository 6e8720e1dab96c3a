"""What is due, for the dispatcher. Reads only; ``db.transitions`` has the verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, Row, Text, bindparam, case, func, literal, or_, select, true

from db.batch import batch, batch_of
from db.models import jobs, queues
from db.rate_limits import Rate
from db.states import Status

#: Wakes the dispatcher: sent after a commit that made jobs due. Only a hint, the dispatcher also looks by itself.
DISPATCH_CHANNEL = "callboard_dispatch"

_waits = (jobs.c.due_at.is_(None), jobs.c.dispatched_at.is_(None))
_lock_space = func.hashtext("callboard.dispatch")
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
_take_queues = select(
    _with_jobs.c.name,
    func.coalesce(_with_jobs.c.dispatch_window, bindparam("window", type_=Integer)).label("window"),
    # Counted only where there is a limit. What is in the broker counts as if it ran.
    case((_with_jobs.c.concurrency_limit.is_not(None), _with_jobs.c.concurrency_limit - _in_flight_count)).label(
        "startable"
    ),
    _with_jobs.c.per_second,
).where(func.pg_try_advisory_xact_lock(_lock_space, func.hashtext(_with_jobs.c.name)))


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How much of a queue may be dispatched."""

    window: int
    """Most messages in the broker."""
    startable: int | None
    """Jobs that may start now; None: any number."""
    rate: Rate | None = None
    """How many may start as time goes by; None: any number."""

    def room(self, depth: int) -> int:
        """Return how many messages may follow those ``depth`` that wait in the broker."""
        bounds = [self.window - depth]
        if self.startable is not None:
            bounds.append(self.startable)
        if self.rate is not None:
            # What waits in the broker may start all at once, as soon as there are workers.
            bounds.append(self.rate.capacity - depth)
        return max(0, min(bounds))


def take_queues(connection: Connection, *, default_window: int) -> dict[str, QueueLimits]:
    """Return the queues that have jobs to dispatch, with their limits.

    This transaction is their only dispatcher until it ends; queues that another one has are left out, as are paused
    ones.
    """
    rows = connection.execute(_take_queues, {"window": default_window})
    return {
        row.name: QueueLimits(row.window, row.startable, Rate(row.per_second) if row.per_second else None)
        for row in rows
    }


_rooms = batch(queue=Text(), room=Integer())
_next = (
    select(jobs.c.id, (jobs.c.attempt + literal(1)).label("attempt"), jobs.c.type, jobs.c.queue, jobs.c.priority)
    .where(jobs.c.queue == _rooms.c.queue, *_waits)
    .order_by(jobs.c.priority.desc(), jobs.c.id)
    .limit(_rooms.c.room)
    .lateral("next_jobs")
)
_next_jobs = select(*_next.c).select_from(_rooms.join(_next, true()))


def next_jobs(connection: Connection, rooms: Mapping[str, int]) -> Sequence[Row[tuple[object, ...]]]:
    """Return up to ``rooms[queue]`` jobs of each queue, by priority (highest first), then by id (oldest first).

    Columns: ``id``, ``attempt`` (the one to start), ``type``, ``queue``, ``priority``.
    """
    return connection.execute(_next_jobs, batch_of(("queue", "room"), sorted(rooms.items()))).all()


_until_due = select(func.extract("epoch", func.min(jobs.c.due_at) - func.now())).where(
    jobs.c.due_at.is_not(None), jobs.c.due_at < literal("infinity", jobs.c.due_at.type)
)


def seconds_until_due(connection: Connection) -> float | None:
    """Return when the next scheduled or retrying job is due: 0 or less for now, None when there is none."""
    seconds = connection.execute(_until_due).scalar_one_or_none()
    return None if seconds is None else float(seconds)


_in_flight = select(jobs.c.queue).where(jobs.c.dispatched_at.is_not(None)).distinct()


def queues_in_flight(connection: Connection) -> list[str]:
    """Return the queues that have dispatched or running jobs."""
    return list(connection.execute(_in_flight).scalars())


_notify = select(func.pg_notify(DISPATCH_CHANNEL, ""))


def notify_dispatcher(connection: Connection) -> None:
    """Wake the dispatcher when this transaction commits.

    A transaction of its own, after the one that made the jobs: NOTIFY takes a lock that all its committers share.
    """
    connection.execute(_notify)


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
    """Whether a job in one of these queues could start now."""
    return any(connection.execute(_due_in, {"of_queue": name}).first() is not None for name in queue_names)
