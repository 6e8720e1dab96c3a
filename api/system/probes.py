"""``/livez``, ``/readyz``, ``/v1/version``, and ``/problems/{code}``, which explains a kind of problem."""

from __future__ import annotations

import platform
from typing import Final

from fastapi import APIRouter, Request, Response

from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.wire.problems import PROBLEMS
from callboard.api.wire.rendering import respond
from callboard.db.errors import NotFound, Unavailable
from callboard.db.schema.migrate import schema_is_current
from callboard.db.version import VERSION

router = APIRouter(tags=["server"])

#: Seconds; below the timeout of any sensible probe.
_READY_TIMEOUT: Final = 3.0


@router.get("/livez", operation_id="live", **operations.LIVE)
async def live() -> Response:
    """Answer: the process serves. Does not ask the database."""
    return respond({"status": "alive"})


@router.get("/readyz", operation_id="ready", **operations.READY)
async def ready(request: Request) -> Response:
    """Answer whether requests would succeed: the database can be reached, its schema is there, no stop is under way."""
    services = services_of(request)
    if services.waiters.stopped:
        raise Unavailable("This process is shutting down.")
    if not await services.threads.run(schema_is_current, within=_READY_TIMEOUT):
        raise Unavailable("The database's schema is older than this version. Run 'callboard migrate'.")
    return respond({"status": "ready"})


@router.get("/v1/version", operation_id="getVersion", **operations.VERSION)
async def version() -> Response:
    """Return the version that runs."""
    return respond({"name": "callboard", "version": VERSION, "api": "v1", "python": platform.python_version()})


@router.get("/problems/{code}", operation_id="explainProblem", **operations.PROBLEM)
async def explain(code: str) -> Response:
    """Explain a kind of problem: what its `type` links to."""
    problem = PROBLEMS.get(code)
    if problem is None:
        raise NotFound(f"There is no kind of problem {code[:100]!r}.")
    return respond(
        {
            "type": f"/problems/{problem.code}",
            "code": problem.code,
            "status": problem.status,
            "title": problem.title,
            "explanation": problem.explanation,
        }
    )
