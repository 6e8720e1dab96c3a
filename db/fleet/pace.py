"""How fast jobs go: the runs of each type, and what each queue has to do and to do it with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ARRAY, Connection, Double, func, literal, select

from callboard.db.fleet.workers import WorkerState
from callboard.db.models import history_rollup, jobs, queues, workers
from callboard.db.rules.states import Status

#: Days of history whose runs count as recent.
_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Waiting:
    """The queued jobs of one queue and priority."""

    priority: int
    jobs: int
    oldest: datetime
    """When the first of them was submitted."""
    newest: datetime


@dataclass(frozen=True, slots=True)
class QueuePace:
    """What a queue has to do, and to do it with."""

    mean_run: float | None
    """Seconds that its jobs ran, on average; None: none did lately."""
    threads: int
    """Jobs of it that can run at a time; 0 while it is paused."""
    waiting: Sequence[Waiting]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast jobs go, at one time."""

    runs: Mapping[str, float]
    """Median run of the last attempts of each type that ran lately, in seconds."""
    queues: Mapping[str, QueuePace]


_recent = (
    history_rollup.c.grain == "day",
    history_rollup.c.owner.is_(None),
    history_rollup.c.starts_at >= func.now() - func.make_interval(0, 0, 0, _DAYS),
    history_rollup.c.ran > 0,
)
_median = func.callboard.histogram_quantiles(
    func.sum(history_rollup.c.run_histogram), literal([0.5], ARRAY(Double)), type_=ARRAY(Double)
)
_medians = (
    select(history_rollup.c.value, _median[1])
    .where(*_recent, history_rollup.c.dimension == "type")
    .group_by(history_rollup.c.value)
)
_means = (
    select(
        history_rollup.c.value,
        func.extract("epoch", func.sum(history_rollup.c.run_sum)) / func.sum(history_rollup.c.ran),
    )
    .where(*_recent, history_rollup.c.dimension == "queue")
    .group_by(history_rollup.c.value)
)
_served = (
    select(func.unnest(workers.c.queues).label("queue"), workers.c.threads)
    .where(workers.c.state == WorkerState.RUNNING)
    .subquery()
)
_threads = select(_served.c.queue, func.sum(_served.c.threads)).group_by(_served.c.queue)
_waiting = (
    select(jobs.c.queue, jobs.c.priority, func.count(), func.min(jobs.c.created_at), func.max(jobs.c.created_at))
    .where(jobs.c.status == Status.QUEUED)
    .group_by(jobs.c.queue, jobs.c.priority)
)
_queues = select(queues.c.name, queues.c.paused, queues.c.concurrency_limit)


def read_pace(connection: Connection) -> Pace:
    """Return how fast jobs go now. Reads live jobs and rollups, and no history."""
    means: dict[str, Any] = dict(connection.execute(_means).all())
    threads = dict(connection.execute(_threads).all())
    waiting: dict[str, list[Waiting]] = {}
    for queue, priority, count, oldest, newest in connection.execute(_waiting):
        waiting.setdefault(queue, []).append(Waiting(priority, count, oldest, newest))
    paces = {}
    for queue, paused, limit in connection.execute(_queues):
        able = 0 if paused else threads.get(queue, 0)
        mean = means.get(queue)
        paces[queue] = QueuePace(
            mean_run=None if mean is None else float(mean),
            threads=able if limit is None else min(able, limit),
            waiting=waiting.get(queue, []),
        )
    return Pace(runs=dict(connection.execute(_medians).all()), queues=paces)
