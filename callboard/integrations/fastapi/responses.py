"""The responses of an endpoint to requests for a job, and their documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.responses import JSONResponse, Response

from callboard.api.wire.problems import MEDIA_TYPE, PROBLEMS
from callboard.client import Job, Problem, TooManyRequests
from callboard.db.errors import Unavailable

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
            "ETag": {"description": "The state that is shown.", "schema": {"type": "string"}},
        },
    },
    503: {
        "description": "A job was asked for, and none can be made now.",
        "content": {MEDIA_TYPE: {}},
        "headers": {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}},
    },
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
    """Return the 202 with the job, as Callboard sends it; its links lead to Callboard, at ``address``."""
    body = from_json(job.json_text)
    body["links"] = {name: _url(address, link) for name, link in body["links"].items()}
    headers = {"Location": body["links"]["self"], "Retry-After": "1"}
    if job.etag is not None:
        headers["ETag"] = job.etag
    if _prefers_async(request):
        headers["Preference-Applied"] = "respond-async"
    return JSONResponse(body, 202, headers)


def refused(request: Request, problem: Problem, address: str) -> Response:
    """Return the response for a submission that Callboard refuses: its own about limits, else 502.

    An invalid API key, or a job type that Callboard does not know, is an error of configuration, not of the client.
    """
    if isinstance(problem, TooManyRequests) or problem.status == _TOO_LARGE:
        headers = {} if problem.retry_after is None else {"Retry-After": f"{problem.retry_after:.0f}"}
        link = _url(address, f"/problems/{problem.code}")
        return _problem(request, link, problem.title, problem.status, problem.detail, problem.code, headers)
    detail = "The job could not be submitted. The server's log says why."
    return _problem(request, "about:blank", "Job refused", 502, detail, "job-refused")


def unavailable(request: Request, address: str) -> Response:
    """Return the 503 while no job can be submitted, as Callboard sends it while its database is away."""
    kind = PROBLEMS[Unavailable.code]
    link = _url(address, f"/problems/{kind.code}")
    detail = "No job can be made now. Try again a little later, or ask without async_mode and Prefer."
    headers = {"Retry-After": str(kind.retry_after)}
    return _problem(request, link, kind.title, kind.status, detail, kind.code, headers)


def _problem(
    request: Request,
    link: str,
    title: str,
    status: int,
    detail: str,
    code: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = {
        "type": link,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "code": code,
    }
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def _url(address: str, path: str) -> str:
    return urljoin(address.rstrip("/") + "/", path.lstrip("/"))


def _prefers_async(request: Request) -> bool:
    preferences = ",".join(request.headers.getlist("prefer")).split(",")
    return any(each.partition(";")[0].strip().lower() == "respond-async" for each in preferences)
