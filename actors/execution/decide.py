"""Decides the :class:`Outcome` of an attempt from the end of its handler. Writes nothing."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from typing import Any

from dramatiq.errors import Retry
from pydantic import ValidationError

from callboard.actors.execution.interrupts import Interruption
from callboard.actors.types.registry import JobType, model_dump
from callboard.db.rules.attempts import ClaimedJob
from callboard.db.rules.outcome import JobError, Outcome
from callboard.db.rules.retry import RetryDecision, RetryPolicy, decide_retry
from callboard.db.rules.states import Reason
from callboard.db.rules.text import has_nul, shortened

_LONGEST_MESSAGE = 4_000
_LONGEST_TRACEBACK = 32_000
#: Seconds. A job of unknown type is retried: in a rolling deployment, a worker that knows the type may start soon.
_UNKNOWN_TYPE_BACKOFF = (15.0, 300.0)


def after_return(job_type: JobType, job: ClaimedJob, value: Any, *, max_result_bytes: int) -> Outcome:
    """Decide after the handler returned ``value``: success, if the value can be stored."""
    try:
        result = model_dump(job_type, value)
    except Exception as error:  # noqa: BLE001 - whatever a user's serializer raises
        return _unstorable(job, f"The result of type {type(value).__name__} has no JSON form: {error}")
    if len(result) > max_result_bytes:
        return _unstorable(
            job, f"The result has {len(result)} bytes, the limit is {max_result_bytes}. Store it as a file instead."
        )
    if has_nul(result):
        return _unstorable(job, "The result has a NUL character in a string, which PostgreSQL cannot store as JSON.")
    return Outcome.succeed(result)


def _unstorable(job: ClaimedJob, message: str) -> Outcome:
    # A retry would produce the same result.
    return Outcome.fail(
        JobError(Reason.EXCEPTION, "UnstorableResult", shortened(message, _LONGEST_MESSAGE), job.attempt)
    )


def after_exception(
    job_type: JobType, job: ClaimedJob, error: BaseException, *, uniform: Callable[[], float] = random.random
) -> Outcome:
    """Decide after the handler raised: retry later, or fail.

    ``dramatiq.errors.Retry`` has its own delay; an exception of ``throws`` fails the job at once; ``retry_when``
    replaces ``max_retries``.
    """
    failure = JobError(
        Reason.EXCEPTION,
        type(error).__name__,
        shortened(str(error), _LONGEST_MESSAGE),
        job.attempt,
        shortened("".join(traceback.format_exception(error)), _LONGEST_TRACEBACK),
    )
    if job_type.throws and isinstance(error, job_type.throws):
        return Outcome.fail(failure)
    delay = error.delay / 1000 if isinstance(error, Retry) and error.delay is not None else None
    max_retries = job.max_retries
    if job_type.retry_when is not None:
        if not job_type.retry_when(job.retries, error):
            return Outcome.fail(failure)
        max_retries = job.retries + 1
    policy = job_type.retry_policy(max_retries)
    return _retry_or_fail(failure, decide_retry(policy, job.retries, random=uniform, asked=delay))


def after_interruption(
    job_type: JobType,
    job: ClaimedJob,
    why: Interruption,
    *,
    where: str | None = None,
    uniform: Callable[[], float] = random.random,
) -> Outcome:
    """Decide after the handler was interrupted.

    Args:
        job_type: of the job.
        job: as it was claimed.
        why: the reason of the interruption.
        where: the handler's stack when it was stopped, if known.
        uniform: random numbers from 0 to 1, for the backoff.
    """
    stack = None if where is None else shortened(where, _LONGEST_TRACEBACK)
    match why:
        case Interruption.SHUTDOWN | Interruption.LEASE_LOST:
            # If another worker has the job by now, this is fenced out.
            return Outcome.release()
        case Interruption.CANCELLED:
            error = JobError(Reason.CANCELLED, "Cancelled", "Cancelled while it ran.", job.attempt, stack)
            return Outcome.cancel(error)
        case Interruption.TIME_LIMIT:
            error = JobError(
                Reason.TIME_LIMIT,
                "TimeLimit",
                f"Ran longer than its time limit of {job.time_limit:g} s.",
                job.attempt,
                stack,
            )
            policy = job_type.retry_policy(job.max_retries)
            return _retry_or_fail(error, decide_retry(policy, job.retries, random=uniform))


def invalid_payload(job: ClaimedJob, error: ValidationError) -> Outcome:
    """Decide if the stored payload does not fit the handler: its model has changed since the job was submitted."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = "/".join(str(part) for part in first["loc"]) or "payload"
    message = f"The payload does not fit this version of {job.type!r}: {where}: {first['msg']}."
    return Outcome.fail(
        JobError(Reason.INVALID_PAYLOAD, "ValidationError", shortened(message, _LONGEST_MESSAGE), job.attempt)
    )


def unknown_type(job: ClaimedJob, *, uniform: Callable[[], float] = random.random) -> Outcome:
    """Decide if this worker has no handler for the job's type."""
    error = JobError(
        Reason.UNKNOWN_TYPE,
        "UnknownJobType",
        f"This worker does not know job type {job.type!r}. Does its CALLBOARD_JOB_MODULES name the right module?",
        job.attempt,
    )
    policy = RetryPolicy(job.max_retries, *_UNKNOWN_TYPE_BACKOFF)
    return _retry_or_fail(error, decide_retry(policy, job.retries, random=uniform))


def worker_lost(*, attempt: int, retries: int, max_retries: int, worker: str, cancel_requested: bool) -> Outcome:
    """Decide for an attempt of a lost worker: retry without backoff, as the job has waited for the lease to end."""
    if cancel_requested:
        return Outcome.cancel(JobError(Reason.CANCELLED, "Cancelled", "Cancelled while it ran.", attempt))
    error = JobError(Reason.WORKER_LOST, "WorkerLost", f"Its worker {worker!r} died or lost the database.", attempt)
    return _retry_or_fail(error, decide_retry(RetryPolicy(max_retries, 0, 0), retries, random=random.random))


def _retry_or_fail(error: JobError, decision: RetryDecision) -> Outcome:
    return Outcome.fail(error) if decision.delay is None else Outcome.retry_later(error, decision.delay)
