"""The responses of an endpoint to requests for a job, and their documentation."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urljoin

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response

from callboard.client import Job, Problem, TooManyRequests

_TRUTH: Final = TypeAdapter(bool)
_TOO_LARGE: Final = 413

#: Header of a response that is the endpoint's own because no job could be submitted.
FALLBACK_HEADER: Final = "Callboard-Fallback"

RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "model": Job,
        "description": "A job, if one was asked for: it calls this endpoint, and its result is the answer.",
        "headers": {
            "Location": {"description": "The job.", "schema": {"type": "string"}},
            "Retry-After": {"description": "Seconds.", "schema": {"type": "string"}},
        },
    },
    503: {"description": "A job was asked for, and none can be made now.", "content": {"application/problem+json": {}}},
}
PARAMETERS: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "async_mode",
        "in": "query",
        "required": False,
        "description": "true: answer 202 with a job at once. Wins over Prefer.",
        "schema": {"type": "boolean", "default": False},
    },
    {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "description": "respond-async: answer 202 with a job at once.",
        "schema": {"type": "string"},
    },
)


def wants_job(request: Request) -> bool:
    """Return whether the client asks for a job instead of the result.

    Raises:
        RequestValidationError: ``async_mode`` is neither true nor false.
    """
    value = request.query_params.get("async_mode")
    if value is None:
        return _prefers_async(request)
    try:
        return _TRUTH.validate_python(value)
    except ValidationError as error:
        raise RequestValidationError(
            [{**item, "loc": ("query", "async_mode")} for item in error.errors(include_url=False)]
        ) from None


def accepted(request: Request, job: Job, address: str) -> Response:
    """Return the 202 with the job; its links lead to Callboard, at ``address``."""
    base = address.rstrip("/") + "/"
    body = job.model_dump(mode="json")
    body["links"] = {name: urljoin(base, link.lstrip("/")) for name, link in body["links"].items()}
    headers = {"Location": body["links"]["self"], "Retry-After": "1"}
    if _prefers_async(request):
        headers["Preference-Applied"] = "respond-async"
    return JSONResponse(body, 202, headers)


def refused(problem: Problem) -> Response:
    """Return the response for a submission that Callboard refuses: its own about limits, else 502.

    An invalid API key, or a job type that Callboard does not know, is an error of configuration, not of the client.
    """
    if isinstance(problem, TooManyRequests) or problem.status == _TOO_LARGE:
        headers = {} if problem.retry_after is None else {"Retry-After": f"{problem.retry_after:.0f}"}
        return _problem(problem.status, problem.title, problem.detail, problem.code, headers)
    return _problem(502, "Job refused", "The job could not be submitted. The server's log says why.", "job-refused")


def unavailable() -> Response:
    """Return the 503 while no job can be submitted."""
    detail = "No job can be made now. Try again a little later, or ask without async_mode and Prefer."
    return _problem(503, "Jobs unavailable", detail, "unavailable", {"Retry-After": "2"})


def _problem(status: int, title: str, detail: str, code: str, headers: dict[str, str] | None = None) -> Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return JSONResponse(body, status, headers, "application/problem+json")


def _prefers_async(request: Request) -> bool:
    preferences = ",".join(request.headers.getlist("prefer")).split(",")
    return any(each.partition(";")[0].strip().lower() == "respond-async" for each in preferences)
