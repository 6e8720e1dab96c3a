"""What operators see of attempts: a line of the log for each transition, and the metrics of their jobs."""

from __future__ import annotations

import logging
from functools import cache

import structlog

from callboard.actors.execution.attempt_writer import Recorded
from callboard.actors.execution.handler_run import log_fields
from callboard.actors.metrics import ATTEMPT_DURATION, JOB_WAIT, JOBS_FINISHED
from callboard.db.rules.attempts import ClaimedJob
from callboard.db.rules.outcome import Outcome
from callboard.db.rules.states import TERMINAL, AttemptOutcome, Status

_log = structlog.get_logger(__name__)
#: Knows the level, and answers at a fraction of what the fields of a line cost.
_level = logging.getLogger()

# labels() costs more than counting.
_wait_of = cache(JOB_WAIT.labels)
_duration_of = cache(ATTEMPT_DURATION.labels)
_finished_of = cache(JOBS_FINISHED.labels)


def started(job: ClaimedJob) -> None:
    """Log and count the start of an attempt, which is durable."""
    if job.attempt == 1:
        _wait_of(job.type, job.queue).observe(job.wait_seconds)
    if _level.isEnabledFor(logging.INFO):
        _log.info(
            "attempt_started",
            queue=job.queue,
            owner=job.owner,
            wait_seconds=round(job.wait_seconds, 3),
            **log_fields(job),
        )


def failed(job: ClaimedJob, outcome: Outcome) -> None:
    """Log why an attempt has failed, if it has: what is going to be recorded of it, so its texts have bounds."""
    error = outcome.error
    if outcome.attempt is AttemptOutcome.FAILED and error is not None:
        _log.warning(
            "attempt_failed",
            outcome=str(outcome.status),
            reason=str(error.reason),
            error_type=error.type,
            error_message=error.message,
            # The name that tracebacks have in all lines.
            **({} if error.traceback is None else {"exception": error.traceback}),
            **log_fields(job),
        )


def ended(job: ClaimedJob, outcome: Outcome, recorded: Recorded, *, seconds: float) -> None:
    """Log and count the end of an attempt, and of its job if that is done.

    Args:
        job: as it was claimed.
        outcome: of the attempt.
        recorded: whether it is durable.
        seconds: from the claim to the record.
    """
    _duration_of(job.type, outcome.attempt if recorded.ours else "lost").observe(seconds)
    if not recorded.ours:
        return
    # One that was to wait for another attempt, and does not, was to be cancelled meanwhile.
    status = outcome.status if recorded.waits or outcome.status in TERMINAL else Status.CANCELLED
    if not recorded.waits:
        _finished_of(job.type, job.queue, status).inc()
    if _level.isEnabledFor(logging.INFO):
        _log.info(
            "attempt_ended",
            queue=job.queue,
            owner=job.owner,
            outcome=str(outcome.attempt),
            status=str(status),
            run_seconds=round(seconds, 3),
            **({"retry_in": round(outcome.delay, 3)} if recorded.waits and outcome.delay is not None else {}),
            **log_fields(job),
        )
