"""Attempts of jobs: their ids, the claimed job, progress. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class AttemptId(NamedTuple):
    """One attempt of one job: all that a message holds, and what fences each write of the attempt."""

    job_id: UUID
    number: int
    """Number of the attempt among those of its job, from 1."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that this worker has claimed, with all that its attempt needs."""

    id: UUID
    attempt: int
    created_at: datetime
    type: str
    queue: str
    owner: str
    payload: str
    """JSON."""
    priority: int
    retries: int
    max_retries: int
    time_limit: float
    started_at: datetime
    """Start of this attempt, by the database's clock."""
    due_since: datetime
    """When this attempt was due, by the same clock: after delays and backoffs."""

    @property
    def wait_seconds(self) -> float:
        """Seconds for which this attempt was due before it started."""
        return max(0.0, (self.started_at - self.due_since).total_seconds())

    @property
    def attempt_id(self) -> AttemptId:
        """The attempt that runs."""
        return AttemptId(self.id, self.attempt)


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """Progress of an attempt. ``seq`` counts the attempt's stored reports; ``reported_at`` is set when it is stored."""

    attempt_id: AttemptId
    seq: int
    current: float
    total: float | None
    step: str | None
    message: str | None

    @property
    def percent(self) -> float | None:
        """0 to 100, or None when the total is not known."""
        return percent(self.current, self.total)


def percent(current: float, total: float | None) -> float | None:
    """Return ``current`` as a percentage of ``total``, 0 to 100 with two decimals; None when the total is not known."""
    return round(min(100.0, 100.0 * current / total), 2) if total else None
