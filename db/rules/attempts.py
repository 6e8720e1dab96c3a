"""Attempts of jobs: which one, what it is given, how far it is. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class AttemptId(NamedTuple):
    """One attempt of one job. A message says no more; each write of an attempt is fenced by it."""

    job_id: UUID
    number: int
    """Counts the job's attempts, from 1."""


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that now runs here, and all that its attempt needs."""

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

    @property
    def attempt_id(self) -> AttemptId:
        """Return which attempt runs."""
        return AttemptId(self.id, self.attempt)


@dataclass(frozen=True, slots=True)
class ProgressReport:
    """How far an attempt is. ``seq`` counts the stored reports of the attempt; ``reported_at`` is set on writing."""

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
    """Return how much of ``total`` is done, 0 to 100, or None when it is not known."""
    return round(min(100.0, 100.0 * current / total), 2) if total else None
