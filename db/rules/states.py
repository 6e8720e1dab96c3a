"""The states of a job. Pure; `callboard.db.transitions` is the only writer."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Where a job is: five live states (a row of ``jobs``), four terminal ones (a row of ``job_history``)."""

    BLOCKED = "blocked"
    """Waits for something else than its time or its turn; ``waiting_for`` says what. Entered by ``await_worker``; left
    by ``promote`` (to try again), ``recall``, ``amend``, ``cancel``, ``expire``."""

    SCHEDULED = "scheduled"
    """Waits for its ``scheduled_at``. Entered by ``submit``, ``amend``; left by ``promote``, ``amend``, ``cancel``,
    ``expire``."""

    QUEUED = "queued"
    """Due. Entered by ``submit``, ``promote``, ``amend``, ``release``, ``recall``, ``reopen``; left by ``claim``,
    ``await_worker``, ``amend``, ``cancel``, ``expire``."""

    RUNNING = "running"
    """An attempt runs. Entered by ``claim``; left by ``finish``, ``retry_later``, ``release``."""

    RETRYING = "retrying"
    """Waits for the backoff after a failed attempt. Entered by ``retry_later``; left by ``promote``, ``cancel``."""

    SUCCEEDED = "succeeded"
    """The handler returned. Entered by ``finish``."""

    FAILED = "failed"
    """An attempt failed and no other follows, or no worker knew the type. Entered by ``finish``, ``await_worker``; left
    by ``reopen``."""

    CANCELLED = "cancelled"
    """Somebody cancelled it. Entered by ``cancel`` (waiting jobs) or ``finish`` (running ones); left by ``reopen``."""

    EXPIRED = "expired"
    """Not started before ``expires_at``. Entered by ``expire``; left by ``reopen``."""


LIVE: Final = frozenset({Status.BLOCKED, Status.SCHEDULED, Status.QUEUED, Status.RUNNING, Status.RETRYING})
TERMINAL: Final = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})
WAITING: Final = LIVE - {Status.RUNNING}


class EventKind(StrEnum):
    """What happened to a job, as its events tell."""

    SUBMITTED = "submitted"
    WAITING = "waiting"
    """The next attempt waits for something else than its time or its turn."""
    STARTED = "started"
    PROGRESS = "progress"
    RETRY = "retry"
    """An attempt ended without success, and another one follows."""
    RELEASED = "released"
    """A worker that shut down released the attempt; another one follows."""
    CANCEL_REQUESTED = "cancel_requested"
    FINISHED = "finished"


class AttemptOutcome(StrEnum):
    """How one attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RELEASED = "released"
    """Ended unfinished by a worker that shuts down; costs no retry."""


class Reason(StrEnum):
    """Why a job or attempt did not succeed; the ``reason`` of a stored error."""

    EXCEPTION = "exception"
    TIME_LIMIT = "time_limit"
    WORKER_LOST = "worker_lost"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    INVALID_PAYLOAD = "invalid_payload"
    UNKNOWN_TYPE = "unknown_type"
