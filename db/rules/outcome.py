"""Outcomes of attempts, and the next states of their jobs. Pure values; ``transitions.finishing`` applies them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from callboard.db.rules.states import AttemptOutcome, Reason, Status
from callboard.db.rules.text import shortened, storable

#: Most characters that are kept; the middle of longer ones goes.
LONGEST_TYPE: Final = 200
LONGEST_MESSAGE: Final = 4_000
LONGEST_TRACEBACK: Final = 32_000


@dataclass(frozen=True, slots=True)
class JobError:
    """Why an attempt did not succeed. Its texts are made storable, and shortened if they are too long."""

    reason: Reason
    type: str
    """A name, such as that of an exception's class; at most 200 characters."""
    message: str
    """At most 4,000 characters."""
    attempt: int
    traceback: str | None = None
    """Stored with the attempt only, for operators; at most 32,000 characters."""

    def __post_init__(self) -> None:
        limits = {"type": LONGEST_TYPE, "message": LONGEST_MESSAGE, "traceback": LONGEST_TRACEBACK}
        for name, limit in limits.items():
            if (text := getattr(self, name)) is not None:
                object.__setattr__(self, name, storable(shortened(text, limit)))


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
