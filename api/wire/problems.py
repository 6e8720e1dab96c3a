"""Errors as problem details (RFC 9457), each with its HTTP status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from callboard.actors.types.field_errors import message_of
from callboard.actors.types.findings import MOST_FINDINGS
from callboard.api.errors import (
    Forbidden,
    IdempotencyKeyInFlight,
    IdempotencyKeyReused,
    MalformedBody,
    MisdirectedRequest,
    NotDone,
    QuotaExceeded,
    ResultErased,
    Unauthenticated,
    Unsuccessful,
    UnsupportedMediaType,
    WithHeaders,
)
from callboard.api.wire.rendering import json_text
from callboard.db.errors import (
    CallboardError,
    Conflict,
    FieldError,
    InvalidInput,
    NotFound,
    PreconditionFailed,
    StorageFull,
    TooLarge,
    Unavailable,
    UnknownJobType,
)
from callboard.db.rules.json_pointer import pointer

_log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of problem; ``/problems/<code>`` explains it."""

    code: str
    status: int
    title: str
    explanation: str
    retry_after: int | None = None
    """Seconds after which a retry makes sense."""


_INTERNAL: Final = Problem(
    "internal", 500, "Internal error",
    "Something that should not happen did. The server's log has the details under the X-Request-ID of the answer.",
)  # fmt: skip
MALFORMED_REQUEST: Final = Problem(
    "malformed-request", 400, "Malformed request", "What was sent is not HTTP/1.1 (RFC 9112).",
)  # fmt: skip
REQUEST_TIMEOUT: Final = Problem(
    "request-timeout", 408, "Request timeout",
    "The request did not come in time. CALLBOARD_RECEIVE_TIMEOUT sets how long the server waits for its head, and for "
    "each piece of its body.",
)  # fmt: skip
REQUEST_TOO_LONG: Final = Problem(
    "request-too-long", 431, "Request too long", "The address and the headers have more than 64 KiB together.",
)  # fmt: skip
_HTTP: Final = Problem("http-error", 400, "Error", "The request was refused; its status says why.")

PROBLEMS: Final[Mapping[str, Problem]] = {
    problem.code: problem
    for problem in (
        _INTERNAL,
        _HTTP,
        MALFORMED_REQUEST,
        REQUEST_TIMEOUT,
        REQUEST_TOO_LONG,
        Problem(
            MalformedBody.code, 400, "Malformed body",
            "The body is not JSON (RFC 8259) in UTF-8, or is nested deeper than 200 levels.",
        ),
        Problem(
            Unauthenticated.code, 401, "Unauthenticated",
            "Send Authorization: Bearer <key> with a valid API key, or a token of the identity provider.",
        ),
        Problem(
            Forbidden.code, 403, "Forbidden",
            "The caller's role does not allow this; or, without a key, the request comes from another machine or from "
            "a web page of another origin.",
        ),
        Problem(NotFound.code, 404, "Not found", "There is no such thing, or it is not yours."),
        Problem("method-not-allowed", 405, "Method not allowed", "The resource does not know this method."),
        Problem(Conflict.code, 409, "Conflict", "The thing is not in a state that allows this."),
        Problem(
            NotDone.code, 409, "Not done yet",
            "The job has no result yet. Ask again later, or wait with GET /v1/jobs/{id}?wait=60.", retry_after=1,
        ),
        Problem(
            Unsuccessful.code, 409, "Done without success",
            "The job failed, was cancelled or expired, so it has no result; `error` says why.",
        ),
        Problem(
            ResultErased.code, 410, "Result erased",
            "The job succeeded, but its result has been fetched with consume=true, or was kept long enough.",
        ),
        Problem(
            IdempotencyKeyInFlight.code, 409, "Idempotency key in flight",
            "Another request with this Idempotency-Key is being written right now. Repeat this one to learn what "
            "becomes of it.",
            retry_after=1,
        ),
        Problem(PreconditionFailed.code, 412, "Precondition failed", "The thing has changed since you last saw it."),
        Problem(TooLarge.code, 413, "Too large", "A body, or a payload in it, has more bytes or values than allowed."),
        Problem(
            UnsupportedMediaType.code, 415, "Unsupported media type", "Send JSON, with Content-Type: application/json.",
        ),
        Problem(
            MisdirectedRequest.code, 421, "Misdirected request",
            "As long as no API key has been made, the server answers under the names of its own machine only: "
            "localhost, 127.0.0.1, [::1].",
        ),
        Problem(InvalidInput.code, 422, "Invalid input", "The request does not fit; `errors` says what and where."),
        Problem(
            UnknownJobType.code, 422, "Unknown job type", "No job type has this name. GET /v1/job-types lists them.",
        ),
        Problem(
            IdempotencyKeyReused.code, 422, "Idempotency key reused",
            "The Idempotency-Key was used for another request. Use a new key for a new request.",
        ),
        Problem(
            QuotaExceeded.code, 429, "Quota exceeded",
            "More was submitted than the caller's limits allow. RateLimit says which limit and what is left of it, "
            "RateLimit-Policy what it is, Retry-After when to try again.",
        ),
        Problem(
            Unavailable.code, 503, "Unavailable",
            "The server cannot reach its database right now, or is about to stop. Whether the request took effect is "
            "not known. Repeat it a little later; submissions with the same Idempotency-Key are made once.",
            retry_after=2,
        ),
        Problem(
            StorageFull.code, 507, "Storage full", "The server has no room left for uploaded files.", retry_after=60,
        ),
    )
}  # fmt: skip

#: Problems of HTTP itself, by status: unknown paths and methods, bodies that are too large.
_BY_STATUS: Final = {
    404: PROBLEMS["not-found"],
    405: PROBLEMS["method-not-allowed"],
    413: PROBLEMS["too-large"],
}


def add_problem_handlers(app: FastAPI, operations: Sequence[APIRoute]) -> None:
    """Have ``app`` respond to :data:`HANDLED_ERRORS` with problems. The outermost middleware handles all others.

    Args:
        app: the application.
        operations: all its routes, for the Allow header of a 405.
    """
    app.state.operations = operations
    for kind in HANDLED_ERRORS:
        app.add_exception_handler(kind, respond_to_error)


def problem_of(error: CallboardError) -> Problem:
    """Return the kind of problem of an error: that of its class, or of the nearest base class that has one."""
    codes = (getattr(kind, "code", "") for kind in type(error).__mro__)
    return next((PROBLEMS[code] for code in codes if code in PROBLEMS), _INTERNAL)


def problem_response(
    problem: Problem, path: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    """Return the response for a problem.

    Args:
        problem: its kind.
        path: of the request.
        detail: what happened this time.
        headers: besides those of the kind.
        members: more members of the body.
    """
    body = {
        "type": f"/problems/{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "instance": path,
        "code": problem.code,
        **members,
    }
    sent = dict(headers or {})
    if problem.retry_after is not None:
        sent["Retry-After"] = str(problem.retry_after)
    return Response(orjson.dumps(body), problem.status, sent, MEDIA_TYPE)


def internal_error(path: str) -> Response:
    """Return the response to an unexpected error, without any detail of it."""
    return problem_response(_INTERNAL, path, _INTERNAL.explanation)


def error_response(error: CallboardError, path: str) -> Response:
    """Return the response for an error of the domain."""
    problem = problem_of(error)
    members: dict[str, Any] = {}
    headers: Mapping[str, str] = {}
    detail = str(error)
    match error:
        case InvalidInput():
            members["errors"] = [{"detail": item.detail, "pointer": item.pointer} for item in error.errors]
        case Unsuccessful():
            members["error"] = json_text(error.error)
        case WithHeaders():
            headers = error.headers
    if problem.status >= _INTERNAL.status:
        # Host names and the like are for the operator, not for the client.
        _log.warning("request_failed", path=path, reason=detail)
        detail = problem.explanation
    return problem_response(problem, path, detail, headers, **members)


HANDLED_ERRORS: Final = (CallboardError, RequestValidationError, HTTPException, DataError)
"""Errors for which :func:`respond_to_error` has a response. Any other is a defect of the server."""


async def respond_to_error(request: Request, error: Exception) -> Response:
    """Return the response for one of :data:`HANDLED_ERRORS`, whatever part of a request raised it."""
    path = request.url.path
    match error:
        case HTTPException():
            return _http_error(request, error)
        case RequestValidationError():
            wrong = [FieldError(message_of(item), pointer(item["loc"])) for item in error.errors()[:MOST_FINDINGS]]
            error = InvalidInput("The parameters do not fit.", wrong)
        case DataError():
            # Input is validated before it reaches the database; this is for values that no validation covers.
            _log.error("value_refused_by_database", path=path, exc_info=error)
            error = InvalidInput("The request holds a value that cannot be stored.")
    assert isinstance(error, CallboardError)  # noqa: S101 - for the type checker
    return error_response(error, path)


def _http_error(request: Request, error: HTTPException) -> Response:
    path = request.url.path
    phrase = HTTPStatus(error.status_code).phrase
    problem = _BY_STATUS.get(error.status_code) or Problem(_HTTP.code, error.status_code, phrase, _HTTP.explanation)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # What is mounted has no routes here, and can be read.
        headers["Allow"] = ", ".join(methods_of(request.app, path) or ["GET", "HEAD"])
    # The detail of the framework's own errors is the phrase of their status.
    detail = error.detail if error.detail != phrase else f"{problem.explanation} ({request.method} {path})"
    return problem_response(problem, path, detail, headers)


def methods_of(app: FastAPI, path: str) -> list[str]:
    """Return the methods of the resource at a path, sorted; none where there is no resource."""
    # Each route has its own methods only, and the first one with this path raises the error.
    routes: Sequence[APIRoute] = app.state.operations
    methods = {method for route in routes if route.path_regex.match(path) for method in route.methods or ()}
    return sorted(methods | {"HEAD"}) if "GET" in methods else sorted(methods)
