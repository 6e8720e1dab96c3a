"""What an API server's answers mean: a JSON object, a problem (RFC 9457), or no Callboard at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from callboard.db.errors import CallboardError, FieldError

_TRANSIENT = frozenset({429, 502, 503, 504})


class ServerUnreachable(CallboardError):
    """No answer came; ``str`` says from which address, why, and what to do."""

    code = "server-unreachable"

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail)
        self.sent = sent
        """True if the request may have reached the server, which may then have acted on it."""

    @classmethod
    def because(cls, error: httpx.RequestError, address: str) -> ServerUnreachable:
        """Return the error for one of httpx's."""
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return cls(
                f"No server answers at {address} ({_cause(error)}). "
                "Start one with 'callboard up', or set CALLBOARD_URL to where yours is.",
                sent=False,
            )
        return cls(f"The server at {address} did not answer to the end ({_cause(error)}).", sent=True)


class ProblemAnswer(CallboardError):
    """The server refused. ``str`` is ``title: detail``."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str | None = None,
        *,
        code: str = "error",
        errors: tuple[FieldError, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{title}: {detail}" if detail else title)
        self.status = status
        self.code = code
        self.errors = errors
        self.retry_after = retry_after
        """Seconds after which trying again makes sense, if the server said so."""

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.status in _TRANSIENT


def problem_of(response: httpx.Response, address: str) -> ProblemAnswer:
    """Return the error that a response of status 300 or above stands for."""
    body = _object(response)
    status = response.status_code
    if body is None or "title" not in body:
        location = f", to {response.headers['Location']}" if "Location" in response.headers else ""
        return ProblemAnswer(
            status,
            f"The server at {address} answered {status} {response.reason_phrase}{location}",
            "not as a Callboard would. Does CALLBOARD_URL name the right server?",
            retry_after=_seconds(response),
        )
    return ProblemAnswer(
        status,
        str(body["title"]),
        None if body.get("detail") is None else str(body["detail"]),
        code=str(body.get("code", ProblemAnswer.code)),
        errors=tuple(
            FieldError(str(item.get("detail", "")), str(item.get("pointer", "")))
            for item in body.get("errors") or ()
            if isinstance(item, Mapping)
        ),
        retry_after=_seconds(response),
    )


def read_json(response: httpx.Response, address: str) -> dict[str, Any]:
    """Return the JSON object of a successful response.

    Raises:
        ProblemAnswer: it is something else, so the other side is no Callboard.
    """
    body = _object(response)
    if body is None:
        raise problem_of(response, address)
    return body


def _object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _seconds(response: httpx.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None


def _cause(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "timed out"
    text = str(error) or type(error).__name__
    # "[Errno 111] Connection refused" reads better without the number.
    return text.partition("] ")[2] or text
