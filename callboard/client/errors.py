"""What can go wrong between a client and a server, as exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from callboard.client.messages import Response
from callboard.db.errors import CallboardError, FieldError


class ClientError(CallboardError):
    """Base of all errors that the clients raise."""


class ServerUnreachable(ClientError):
    """No response arrived."""

    code = "server-unreachable"

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent
        """Whether the request may have reached the server, which may then have acted on it."""


class WaitTimeout(ClientError):
    """The job was not done in time. The job goes on."""

    code = "wait-timeout"


class Problem(ClientError):
    """The server refused, with problem details (RFC 9457). ``str`` is ``title: detail``."""

    def __init__(self, response: Response) -> None:
        body = _document(response)
        self.title = str(body["title"]) if body else _foreign(response)
        self.detail = str(body.get("detail") or "")
        super().__init__(f"{self.title}: {self.detail}" if self.detail else self.title)
        self.status = response.status
        """The HTTP status."""
        self.code = str(body.get("code") or "http-error") if body else UnexpectedResponse.code
        """Names the kind of problem, for programs. The server explains the code at ``/problems/<code>``.

        ``unexpected-response``: the response is not Callboard's; a proxy, say, sent an error page of its own.
        """
        self.errors = tuple(
            FieldError(str(item.get("detail", "")), str(item.get("pointer", "")))
            for item in body.get("errors") or ()
            if isinstance(item, Mapping)
        )
        """What is wrong with the request, each with a JSON pointer into its body."""
        self.retry_after = _seconds(response.headers.get("retry-after", ""))
        """Seconds after which to try again, or None if the server named no time."""
        self.request_id = response.headers.get("x-request-id")
        """Finds the request in the server's log."""


class UnexpectedResponse(Problem):
    """The response is not Callboard's: the URL names another server, or a proxy responded in its place."""

    code = "unexpected-response"


class Unauthorized(Problem):
    """The API key or token is missing or not valid (401), or does not allow this (403)."""


class NotFound(Problem):
    """There is no such thing, or it belongs to somebody else."""


class Conflict(Problem):
    """The thing is not in a state that allows this."""


class NotDone(Conflict):
    """The job has no result yet."""


class Unsuccessful(Conflict):
    """The job is done without success, so it has no result."""

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        error = _document(response).get("error")
        self.error: dict[str, Any] | None = error if isinstance(error, dict) else None
        """The job's error: ``reason``, ``type``, ``message`` and ``attempt``."""


class ResultErased(Problem):
    """The job succeeded, but its result is no longer kept."""


class InvalidRequest(Problem):
    """The request does not fit; ``errors`` says what and where."""


class TooManyRequests(Problem):
    """A limit has been reached; ``retry_after`` says when to go on."""


class ServerUnavailable(Problem):
    """The server or its database is not available for the moment."""


#: Every code of the API but ``http-error``, which any status may have.
KIND_BY_CODE: Final[Mapping[str, type[Problem]]] = {
    "conflict": Conflict,
    "forbidden": Unauthorized,
    "idempotency-key-in-flight": Conflict,
    "idempotency-key-reused": InvalidRequest,
    "internal": Problem,
    "invalid-input": InvalidRequest,
    "malformed-body": InvalidRequest,
    "malformed-request": InvalidRequest,
    "method-not-allowed": Problem,
    "misdirected-request": Problem,
    "not-done": NotDone,
    "not-found": NotFound,
    "precondition-failed": Problem,
    "quota-exceeded": TooManyRequests,
    "request-timeout": Problem,
    "request-too-long": Problem,
    "result-erased": ResultErased,
    "storage-full": Problem,
    "too-large": Problem,
    "unauthenticated": Unauthorized,
    "unavailable": ServerUnavailable,
    "unknown-job-type": InvalidRequest,
    "unsuccessful": Unsuccessful,
    "unsupported-media-type": Problem,
}
#: For codes that this version does not know.
KIND_BY_STATUS: Final[Mapping[int, type[Problem]]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    409: Conflict,
    410: ResultErased,
    422: InvalidRequest,
    429: TooManyRequests,
    502: ServerUnavailable,
    503: ServerUnavailable,
    504: ServerUnavailable,
}
#: Statuses that mean the same when a proxy responds in Callboard's place.
_PROXY_STATUSES: Final = frozenset({401, 403, 429, 502, 503, 504})


def problem_of(response: Response) -> Problem:
    """Return the exception for a response that is neither a success nor a 304."""
    body = _document(response)
    if not body and response.status not in _PROXY_STATUSES:
        return UnexpectedResponse(response)
    by_status = KIND_BY_STATUS.get(response.status, Problem)
    return KIND_BY_CODE.get(str(body.get("code")), by_status)(response)


def _document(response: Response) -> Mapping[str, Any]:
    """Return the problem details, or an empty object if the response has none."""
    body = response.json_object()
    return body if body is not None and "title" in body else {}


def _foreign(response: Response) -> str:
    try:
        phrase = f" {HTTPStatus(response.status).phrase}"
    except ValueError:
        phrase = ""
    location = response.headers.get("location")
    return (
        f"The server at {response.address} answered {response.status}{phrase}{f', to {location}' if location else ''}, "
        "which is not a response of this version of Callboard. Does the URL name the right server?"
    )


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None
