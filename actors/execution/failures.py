"""The exception by which Dramatiq's middleware learns that an attempt has failed."""

from __future__ import annotations

from dramatiq.errors import Retry
from dramatiq.middleware import TimeLimitExceeded

from callboard.db.rules.outcome import JobError, Outcome
from callboard.db.rules.states import AttemptOutcome, Reason


class AttemptFailed(Exception):
    """An attempt that failed without an exception in the worker's thread, as in a process of its own."""

    def __init__(self, error: JobError) -> None:
        super().__init__(f"{error.type}: {error.message}")
        self.reason = error.reason
        if error.traceback is not None:
            self.add_note(error.traceback)


def failure_of(outcome: Outcome, raised: BaseException | None) -> BaseException | None:
    """Return the exception for ``after_process_message``; None if the attempt has not failed.

    Args:
        outcome: of the attempt. A cancelled or released one has not failed.
        raised: what the handler raised in this thread, if it did.
    """
    if outcome.attempt is not AttemptOutcome.FAILED or outcome.error is None:
        return None
    if outcome.error.reason is Reason.TIME_LIMIT:
        return TimeLimitExceeded()
    return raised if raised is not None and _is_harmless(raised) else AttemptFailed(outcome.error)


def _is_harmless(error: BaseException) -> bool:
    """Whether Dramatiq and its middleware can look at an exception; if not, the worker's thread would die of it."""
    try:
        isinstance(error, Retry)
        str(error)
        repr(error)
    except BaseException:  # noqa: BLE001 - an exception may raise anything
        return False
    return True
