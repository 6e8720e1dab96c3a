"""Decides the :class:`Outcome` of an attempt from the end of its handler. Writes nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from dramatiq.errors import Retry
from pydantic import ValidationError
from pydantic_core import from_json

from callboard.actors.execution.interrupts import Interruption
from callboard.actors.types.field_errors import errors_of, field_errors
from callboard.actors.types.findings import first_findings
from callboard.actors.types.registry import JobType
from callboard.db.rules.attempts import ClaimedJob
from callboard.db.rules.exceptions import describe
from callboard.db.rules.new_job import OPTIONS
from callboard.db.rules.outcome import LONGEST_MESSAGE, JobError, Outcome
from callboard.db.rules.retry import RetryDecision, RetryPolicy, decide_retry
from callboard.db.rules.states import Reason
from callboard.db.rules.text import said, shortened, shown

#: Seconds: the longest delay that a submission may ask for, and so an exception, too.
_LONGEST_DELAY: Final = OPTIONS["delay"].most or 0.0
#: Seconds. A job of unknown type is retried: in a rolling deployment, a worker that knows the type may start soon.
_UNKNOWN_TYPE_BACKOFF = (15.0, 300.0)


def after_return(job_type: JobType, job: ClaimedJob, value: Any, *, max_result_bytes: int) -> Outcome:
    """Decide after the handler returned ``value``: success, if the value is of the declared type and can be stored.

    A failure here is final: a retry would return the same.
    """
    try:
        return Outcome.succeed(job_type.result_json(value, max_bytes=max_result_bytes))
    except ValidationError as error:
        found = errors_of(first_findings(error))
        first = f"{found[0].pointer or 'all of it'}: {found[0].detail}" if found else said(error)
        kind, message = "InvalidResult", f"The result does not fit the type that {job.type!r} declares: {first}."
    except Exception as error:  # noqa: BLE001 - whatever a user's serializer raises
        kind, message = "UnstorableResult", said(error)
    return Outcome.fail(JobError(Reason.EXCEPTION, kind, message, job.attempt))


def after_exception(
    job_type: JobType, job: ClaimedJob, error: BaseException, *, uniform: Callable[[], float] = random.random
) -> Outcome:
    """Decide after the handler raised: retry later, or fail. Raises nothing, whatever the exception is.

    ``dramatiq.errors.Retry`` has its own delay; an exception of ``throws`` fails the job at once; ``retry_when``
    replaces ``max_retries``. If this cannot be decided, as ``retry_when`` raises, the job fails.
    """
    raised = describe(error)
    failure = JobError(Reason.EXCEPTION, raised.type, raised.message, job.attempt, raised.traceback)
    try:
        max_retries = _max_retries(job_type, job, error)
        asked = _asked_delay(error)
    except BaseException as odd:  # noqa: BLE001 - it is the user's code, too
        note = f"Whether to retry could not be decided: {describe(odd)}."
        return Outcome.fail(_noted(failure, note))
    if isinstance(asked, str):
        failure = _noted(failure, asked)
        asked = None
    policy = job_type.retry_policy(max_retries)
    return _retry_or_fail(failure, decide_retry(policy, job.retries, random=uniform, asked=asked))


def _max_retries(job_type: JobType, job: ClaimedJob, error: BaseException) -> int:
    """Return how many retries the job may spend after this exception. The user's code may raise anything here."""
    if job_type.throws and isinstance(error, job_type.throws):
        return 0
    if job_type.retry_when is not None:
        return job.retries + 1 if job_type.retry_when(job.retries, error) else 0
    return job.max_retries


def _asked_delay(error: BaseException) -> float | str | None:
    """Return the seconds that a ``Retry`` asks for; a note for people if they are not usable; None if it asks for none.

    The exception's own code may raise anything here.
    """
    if not issubclass(type(error), Retry):  # isinstance() would ask the exception, too
        return None
    delay: object = error.delay  # type: ignore[attr-defined]
    if delay is None:
        return None
    if isinstance(delay, int | float) and not isinstance(delay, bool) and delay <= _LONGEST_DELAY * 1000:
        return max(0, delay) / 1000
    return (
        f"Its delay of {shortened(shown(delay), 50)} is not a number of milliseconds up to ten years, "
        "so the backoff of the job type decides."
    )


def _noted(error: JobError, note: str) -> JobError:
    # The beginning of a long message is worth less than the note, which would be cut off with its end.
    message = shortened(error.message, LONGEST_MESSAGE - len(note) - 1)
    return replace(error, message=f"{message} {note}".strip())


def without_decision(job: ClaimedJob, error: BaseException) -> Outcome:
    """Decide if deciding itself has failed: the last resort. Another attempt would probably end the same way."""
    raised = describe(error)
    message = f"The end of this attempt could not be handled: {raised}"
    return Outcome.fail(JobError(Reason.EXCEPTION, raised.type, message, job.attempt, raised.traceback))


def refused(job: ClaimedJob, outcome: Outcome, reason: str) -> Outcome:
    """Decide if the database has refused to store ``outcome``: its result, or the words of its error."""
    if (why := outcome.error) is not None:
        return replace(outcome, error=JobError(why.reason, _ascii(why.type), _ascii(why.message), why.attempt))
    if outcome.result is None:
        return outcome
    message = f"The database cannot store the result: {reason}."
    return Outcome.fail(JobError(Reason.EXCEPTION, "UnstorableResult", _ascii(message), job.attempt))


def _ascii(text: str) -> str:
    """Return text that every database can store, whatever its encoding."""
    return text.encode("ascii", "backslashreplace").decode()


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
    match why:
        case Interruption.SHUTDOWN | Interruption.LEASE_LOST:
            # If another worker has the job by now, this is fenced out.
            return Outcome.release()
        case Interruption.CANCELLED:
            error = JobError(Reason.CANCELLED, "Cancelled", "Cancelled while it ran.", job.attempt, where)
            return Outcome.cancel(error)
        case Interruption.TIME_LIMIT:
            error = JobError(
                Reason.TIME_LIMIT,
                "TimeLimit",
                f"Ran longer than its time limit of {job.time_limit:g} s.",
                job.attempt,
                where,
            )
            policy = job_type.retry_policy(job.max_retries)
            return _retry_or_fail(error, decide_retry(policy, job.retries, random=uniform))


def invalid_payload(job: ClaimedJob, error: BaseException) -> Outcome:
    """Decide if the stored payload does not fit the handler: its model has changed since the job was submitted.

    ``error`` is Pydantic's, or whatever else a validator of the model has raised.
    """
    raised = describe(error)
    found = field_errors(first_findings(error), from_json(job.payload)) if type(error) is ValidationError else []
    why = f"{found[0].pointer or 'all of it'}: {found[0].detail}" if found else f"a validator raised {raised}"
    message = f"The payload does not fit this version of {job.type!r}: {why}."
    trace = None if found else raised.traceback
    return Outcome.fail(JobError(Reason.INVALID_PAYLOAD, raised.type, message, job.attempt, trace))


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
