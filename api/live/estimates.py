"""When a job is likely to start and to be done: from the recent runs of its type and its place in line."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from callboard.api.database.threads import DatabaseThreads
from callboard.db.errors import Unavailable
from callboard.db.fleet.pace import Pace, QueuePace, read_pace
from callboard.db.models.job_view import JobView
from callboard.db.rules.states import TERMINAL, Status

#: Seconds for which a pace is used: clients look at estimates as long as they wait.
_MAX_AGE: Final = 5.0
#: Seconds that the first estimate waits for its pace; an answer without one is better than a late one.
_TIMEOUT: Final = 1.0
#: From this share of its work on, a job's own speed says more than that of its type.
_TELLING: Final = 0.05

Estimate = dict[str, float]


class Estimates:
    """Estimates by the latest pace, which is read in the background. Used in one event loop."""

    def __init__(self, threads: DatabaseThreads) -> None:
        self._threads = threads
        self._pace: Pace | None = None
        self._read_at = -_MAX_AGE
        self._reading: asyncio.Task[None] | None = None

    async def of(self, row: JobView) -> Estimate | None:
        """Return when the job is likely to start and to be done, in seconds from now; None where nothing tells."""
        if row["status"] in TERMINAL:
            return None
        if self._reading is None and time.monotonic() - self._read_at >= _MAX_AGE:
            self._reading = asyncio.create_task(self._read())
        if self._pace is None and self._reading is not None:
            await asyncio.wait({self._reading}, timeout=_TIMEOUT)
        return None if self._pace is None else estimate(row, self._pace, now=datetime.now(UTC))

    def stop(self) -> None:
        """End the reading. Called in the loop."""
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self) -> None:
        try:
            self._pace = await self._threads.run(read_pace)
        except Unavailable:
            self._pace = None
        finally:
            self._read_at = time.monotonic()
            self._reading = None


def estimate(row: JobView, pace: Pace, *, now: datetime) -> Estimate | None:
    """Return ``starts_in`` and ``finishes_in``, in seconds from ``now``; None where nothing tells. Pure.

    A run is expected to take the median of its type, or, once the job has told its progress, what its own speed says.
    A queued job starts when what is before it is done: the jobs of higher priorities and the earlier ones of its own,
    each at the queue's mean run, by all threads together.
    """
    run = pace.runs.get(row["type"])
    starts_in: float | None
    match row["status"]:
        case Status.RUNNING:
            left = _left(row, run, now)
            return None if left is None else _rounded(0.0, left)
        case Status.SCHEDULED | Status.RETRYING if row["due_at"] is not None:
            starts_in = max(0.0, (row["due_at"] - now).total_seconds())
        case Status.QUEUED:
            starts_in = _wait(row, pace.queues.get(row["queue"]))
        case _:
            starts_in = None
    return None if starts_in is None or run is None else _rounded(starts_in, starts_in + run)


def _left(row: JobView, run: float | None, now: datetime) -> float | None:
    """Return how long the attempt that runs is likely to run on."""
    started: datetime = row["started_at"]
    progress: dict[str, Any] = orjson.loads(row["progress"] or b"{}")
    done = (progress.get("percent") or 0.0) / 100
    # Only in the first attempt is the first start the one that counts.
    if row["attempt"] == 1:
        elapsed = max(0.0, (now - started).total_seconds())
        if done >= _TELLING:
            return elapsed * (1 - done) / done
        return None if run is None else max(0.0, run - elapsed)
    return None if run is None else run * (1 - done)


def _wait(row: JobView, queue: QueuePace | None) -> float | None:
    """Return how long the job is likely to wait in line."""
    if queue is None or queue.threads == 0:
        return None
    before = 0.0
    for waiting in queue.waiting:
        if waiting.priority > row["priority"]:
            before += waiting.jobs
        elif waiting.priority == row["priority"]:
            # Its place among them is not counted but taken from its age: as exact as the rest, and free.
            span = (waiting.newest - waiting.oldest).total_seconds()
            share = (row["created_at"] - waiting.oldest).total_seconds() / span if span else 0.0
            before += waiting.jobs * min(1.0, max(0.0, share))
    if before < 1:
        return 0.0
    return None if queue.mean_run is None else before * queue.mean_run / queue.threads


def _rounded(starts_in: float, finishes_in: float) -> Estimate:
    return {"starts_in": round(starts_in, 1), "finishes_in": round(finishes_in, 1)}
