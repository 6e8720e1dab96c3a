"""The states of a job. Pure; `callboard.db.transitions` is the only writer."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Where a job is: five live states (a row of ``jobs``), four terminal ones (a row of ``job_history``)."""

    BLOCKED = "blocked"
    """Waits for other jobs. Reserved: no verb enters it yet."""

    SCHEDULED = "scheduled"
    """Waits for its ``scheduled_at``. Entered by ``submit``; left by ``promote``, ``cancel``, ``expire``."""

    QUEUED = "queued"
    """Due. Entered by ``submit``, ``promote``, ``release``, ``reopen``; left by ``claim``, ``cancel``, ``expire``."""

    RUNNING = "running"
    """An attempt is under way. Entered by ``claim`` alone; left by the verbs that end an attempt."""

    RETRYING = "retrying"
    """An attempt failed, the next waits for its backoff. Entered by ``retry_later``; left like ``scheduled``."""

    SUCCEEDED = "succeeded"
    """The handler returned. Entered by ``succeed``."""

    FAILED = "failed"
    """The last attempt failed and no retry is left, or none is wanted. Entered by ``fail``."""

    CANCELLED = "cancelled"
    """Someone asked for it. Entered by ``cancel`` (waiting jobs) or by the attempt that was told to stop."""

    EXPIRED = "expired"
    """Not started before ``expires_at``. Entered by ``expire``."""


LIVE: Final = frozenset({Status.BLOCKED, Status.SCHEDULED, Status.QUEUED, Status.RUNNING, Status.RETRYING})
TERMINAL: Final = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})
WAITING: Final = LIVE - {Status.RUNNING}


class EventKind(StrEnum):
    """What happened to a job, as its events tell."""

    SUBMITTED = "submitted"
    STARTED = "started"
    PROGRESS = "progress"
    RETRY = "retry"
    """An attempt ended without success, and another one follows."""
    RELEASED = "released"
    """A worker that shut down handed the attempt back; another one follows."""
    CANCEL_REQUESTED = "cancel_requested"
    FINISHED = "finished"


class AttemptOutcome(StrEnum):
    """How one attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RELEASED = "released"
    """Handed back unfinished (a worker that shuts down); costs no retry."""


class Reason(StrEnum):
    """Why a job or attempt did not succeed; the ``reason`` of a stored error."""

    EXCEPTION = "exception"
    TIME_LIMIT = "time_limit"
    WORKER_LOST = "worker_lost"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    INVALID_PAYLOAD = "invalid_payload"
    UNKNOWN_TYPE = "unknown_type"
