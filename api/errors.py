"""Errors that only HTTP knows: what is wrong with a request, or with asking for this now."""

from __future__ import annotations

from db.errors import CallboardError, Conflict, InvalidInput


class MalformedBody(CallboardError):
    """The body is not JSON."""

    code = "malformed-body"


class UnsupportedMediaType(CallboardError):
    """The body is declared to be something else than JSON."""

    code = "unsupported-media-type"


class Forbidden(CallboardError):
    """The caller's role does not allow this."""

    code = "forbidden"


class IdempotencyKeyReused(InvalidInput):
    """The idempotency key stands for another request."""

    code = "idempotency-key-reused"


class NotDone(Conflict):
    """The job has no result yet."""

    code = "not-done"


class Unsuccessful(Conflict):
    """The job is done and will have no result; ``error`` is its error as JSON, or None if there is none."""

    code = "unsuccessful"

    def __init__(self, detail: str, error: str | None) -> None:
        super().__init__(detail)
        self.error = error
