"""Calls a handler: from the payload to the :class:`Outcome`. The same in a worker's thread and in a process."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from callboard.actors.execution import decide
from callboard.actors.execution.coroutines import CoroutineRunner
from callboard.actors.execution.handler_run import log_fields
from callboard.actors.execution.interrupts import Interrupter, JobInterrupted
from callboard.actors.execution.shared_loop import LoopAbandoned
from callboard.actors.types.registry import JobType
from callboard.actors.types.run import Run
from callboard.db.rules.attempts import ClaimedJob
from callboard.db.rules.json_values import with_floats
from callboard.db.rules.outcome import Outcome

_log = structlog.get_logger(__name__)


def run_handler(
    job_type: JobType,
    job: ClaimedJob,
    run: Run,
    interrupter: Interrupter,
    coroutines: CoroutineRunner,
    *,
    max_result_bytes: int,
    on_exception: Callable[[BaseException], None] = lambda _error: None,
) -> Outcome:
    """Run the handler in this thread and return its outcome. Whatever the user's code raises becomes an outcome.

    All of that code can be interrupted: the validators of the payload, the handler, and the serializers of the result.
    ``on_exception`` is called with an exception by which the handler has failed.
    """

    def attempt() -> Outcome:
        try:
            payload = job_type.payload.validate_json(with_floats(job.payload))
        except BaseException as error:
            if interrupter.reason is not None:
                raise
            return decide.invalid_payload(job, error)
        called = job_type.call(payload, run)
        value = coroutines.run(called, interrupter, **log_fields(job)) if job_type.is_async else called
        outcome = decide.after_return(job_type, job, value, max_result_bytes=max_result_bytes)
        if outcome.error is not None:
            interrupter.check()  # Pydantic makes an error of its own of what interrupts a serializer
        return outcome

    try:
        return interrupter.run(attempt)
    except BaseException as error:  # noqa: BLE001 - a handler may raise anything
        return _after_error(job_type, job, interrupter, error, on_exception)


def _after_error(
    job_type: JobType,
    job: ClaimedJob,
    interrupter: Interrupter,
    error: BaseException,
    on_exception: Callable[[BaseException], None],
) -> Outcome:
    if interrupter.reason is not None:
        _log.info("attempt_interrupted", reason=str(interrupter.reason), **log_fields(job))
        return decide.after_interruption(job_type, job, interrupter.reason)
    # isinstance() would ask the exception, too, which may be hostile.
    if issubclass(type(error), LoopAbandoned):
        _log.warning("attempt_released", reason=str(error), **log_fields(job))
        return Outcome.release()
    if issubclass(type(error), JobInterrupted):
        # Raised by the handler itself. Nobody has interrupted it, so this is a failure.
        error = RuntimeError("The handler raised JobInterrupted, though nobody had asked it to stop.")
    on_exception(error)
    return decide.after_exception(job_type, job, error)
