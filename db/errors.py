"""Errors of the domain. Each has a stable ``code``; only ``callboard.api.wire.problems`` turns them into HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with the input: ``pointer`` is a JSON pointer into the request body."""

    detail: str
    pointer: str


class CallboardError(Exception):
    """Base of all errors that a user of Callboard may see. ``str(error)`` says what is wrong and how to mend it."""

    code = "error"


class ConfigurationError(CallboardError):
    """The process cannot start with these settings or job types."""

    code = "configuration"


class InvalidInput(CallboardError):
    """The input does not fit its schema; ``errors`` says where."""

    code = "invalid-input"

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)


class UnknownJobType(InvalidInput):
    """No job type of that name is registered."""

    code = "unknown-job-type"


class NotFound(CallboardError):
    """There is no such job, file or key, or it is not the caller's."""

    code = "not-found"


class Conflict(CallboardError):
    """The state of the job, file or key does not allow this."""

    code = "conflict"


class PreconditionFailed(CallboardError):
    """The job has changed since the caller last read it."""

    code = "precondition-failed"


class TooLarge(CallboardError):
    """More bytes than the limit allows."""

    code = "too-large"


class Unavailable(CallboardError):
    """The database (or file storage) cannot be reached right now; the caller should try again later."""

    code = "unavailable"


class StorageFull(Unavailable):
    """The storage for uploaded files is full."""

    code = "storage-full"
