"""What can go wrong between a client and a server, as exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from callboard.db.errors import CallboardError, FieldError


class ClientError(CallboardError):
    """Base of all that the clients raise."""


class ServerUnreachable(ClientError):
    """No answer came."""

    code = "server-unreachable"

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent
        """True if the request may have reached the server, which may then have acted on it."""


class WaitTimeout(ClientError):
    """The job was not done in time. It goes on."""

    code = "wait-timeout"


class Problem(ClientError):
    """The server refused, with problem details (RFC 9457). ``str`` is ``title: detail``."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """Args: ``body`` of the answer, empty if it was no problem document; ``headers`` of the answer."""
        self.title = str(body.get("title") or f"The server answered {status}")
        self.detail = str(body.get("detail") or "")
        super().__init__(f"{self.title}: {self.detail}" if self.detail else self.title)
        self.status = status
        """The HTTP status."""
        self.code = str(body.get("code") or "http-error")
        """Names the kind of problem, for programs; the server explains it at ``/problems/<code>``."""
        self.errors = tuple(
            FieldError(str(item.get("detail", "")), str(item.get("pointer", "")))
            for item in body.get("errors") or ()
            if isinstance(item, Mapping)
        )
        """What is wrong with the request, each with a JSON pointer into its body."""
        self.retry_after = _seconds(headers.get("retry-after", ""))
        """Seconds after which trying again makes sense, if the server said so."""
        self.request_id = headers.get("x-request-id")
        """Under which the server's log tells more."""


class Unauthorized(Problem):
    """The API key or token is missing or not valid (401), or does not allow this (403)."""


class NotFound(Problem):
    """There is no such thing, or it is not yours."""


class Conflict(Problem):
    """The thing is not in a state that allows this."""


class NotDone(Conflict):
    """The job has no result yet."""


class Unsuccessful(Conflict):
    """The job is done without success, so it has no result."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(status, body, headers)
        error = body.get("error")
        self.error: dict[str, Any] | None = error if isinstance(error, dict) else None
        """The job's error: ``reason``, ``type``, ``message`` and ``attempt``."""


class ResultErased(Problem):
    """The job succeeded, but its result is not kept any more."""


class InvalidRequest(Problem):
    """The request does not fit; ``errors`` says what and where."""


class TooManyRequests(Problem):
    """A limit has been reached; ``retry_after`` says when to go on."""


class ServerUnavailable(Problem):
    """The server, or its database, is away for the moment."""


_BY_CODE: Final[Mapping[str, type[Problem]]] = {"not-done": NotDone, "unsuccessful": Unsuccessful}
_BY_STATUS: Final[Mapping[int, type[Problem]]] = {
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


def problem_of(status: int, body: object, headers: Mapping[str, str]) -> Problem:
    """Return the exception for an answer that is not a success.

    Args:
        status: of the answer.
        body: as decoded from JSON, or None if it is none.
        headers: of the answer, names in lower case.
    """
    members: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    kind = _BY_CODE.get(str(members.get("code"))) or _BY_STATUS.get(status, Problem)
    return kind(status, members, headers)


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None
