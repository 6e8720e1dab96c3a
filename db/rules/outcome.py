"""Outcomes of attempts, and the next states of their jobs. Pure values; ``transitions.finishing`` applies them."""

from __future__ import annotations

from dataclasses import dataclass

from callboard.db.rules.states import AttemptOutcome, Reason, Status


@dataclass(frozen=True, slots=True)
class JobError:
    """Why an attempt did not succeed. ``traceback`` is stored with the attempt only, for operators."""

    reason: Reason
    type: str
    message: str
    attempt: int
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one attempt, made by one of the class methods."""

    status: Status
    """The next state of the job: succeeded, failed, cancelled, retrying or (released) queued."""
    attempt: AttemptOutcome
    result: bytes | None = None
    """JSON."""
    error: JobError | None = None
    delay: float | None = None
    """Seconds until the next attempt; retrying only."""

    @classmethod
    def succeed(cls, result: bytes) -> Outcome:
        return cls(Status.SUCCEEDED, AttemptOutcome.SUCCEEDED, result=result)

    @classmethod
    def fail(cls, error: JobError) -> Outcome:
        return cls(Status.FAILED, AttemptOutcome.FAILED, error=error)

    @classmethod
    def retry_later(cls, error: JobError, delay: float) -> Outcome:
        return cls(Status.RETRYING, AttemptOutcome.FAILED, error=error, delay=delay)

    @classmethod
    def cancel(cls, error: JobError) -> Outcome:
        return cls(Status.CANCELLED, AttemptOutcome.CANCELLED, error=error)

    @classmethod
    def release(cls) -> Outcome:
        """Release the job: it is due again at once, and no retry is spent."""
        return cls(Status.QUEUED, AttemptOutcome.RELEASED)
