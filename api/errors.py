"""Errors of HTTP requests; ``callboard.db.errors`` has those of the domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from callboard.db.errors import CallboardError, Conflict, InvalidInput


class MalformedBody(CallboardError):
    """The body is not JSON."""

    code = "malformed-body"


class UnsupportedMediaType(CallboardError):
    """The Content-Type of the body is not JSON."""

    code = "unsupported-media-type"


class WithHeaders(CallboardError):
    """An error whose response has ``headers`` of its own."""

    def __init__(self, detail: str, headers: Mapping[str, str]) -> None:
        super().__init__(detail)
        self.headers = headers


class Unauthenticated(WithHeaders):
    """The credentials are missing or not accepted. The message never repeats them."""

    code = "unauthenticated"

    @classmethod
    def without_credentials(cls, detail: str) -> Self:
        """Return the error for a request without credentials (RFC 6750, section 3.1: no error code then)."""
        return cls(detail, {"WWW-Authenticate": "Bearer"})

    @classmethod
    def with_wrong_credentials(cls, detail: str) -> Self:
        """Return the error for a key or token that is not accepted."""
        return cls(detail, {"WWW-Authenticate": 'Bearer error="invalid_token"'})


class QuotaExceeded(WithHeaders):
    """The caller has submitted more than its quota allows."""

    code = "quota-exceeded"


class Forbidden(CallboardError):
    """The caller's role does not allow this, or the request comes from where the caller cannot have meant it."""

    code = "forbidden"


class MisdirectedRequest(CallboardError):
    """The request is for a host that this server is not."""

    code = "misdirected-request"


class IdempotencyKeyReused(InvalidInput):
    """The idempotency key was used for another request."""

    code = "idempotency-key-reused"


class IdempotencyKeyInFlight(Conflict):
    """Another request with this idempotency key is being written right now."""

    code = "idempotency-key-in-flight"


class NotDone(Conflict):
    """The job has no result yet."""

    code = "not-done"


class Unsuccessful(Conflict):
    """The job ended without a result; ``error`` is the job's error as JSON, or None."""

    code = "unsuccessful"

    def __init__(self, detail: str, error: str | None) -> None:
        super().__init__(detail)
        self.error = error


class ResultErased(CallboardError):
    """The job has succeeded, and its result has been erased since."""

    code = "result-erased"
