"""``/livez``, ``/readyz``, ``/v1/version``, and ``/problems/{code}``, which explains a kind of problem."""

from __future__ import annotations

import platform
from typing import Final

import structlog
from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.wire.problems import PROBLEMS, problem_response
from callboard.api.wire.rendering import respond
from callboard.db.errors import NotFound, Unavailable
from callboard.db.schema.migrate import SCHEMA_IS_OLDER, schema_is_current
from callboard.db.schema.suitability import DatabaseState
from callboard.db.version import VERSION

_log = structlog.get_logger(__name__)

router = APIRouter(tags=["server"])

#: Seconds; below the timeout of any sensible probe.
_READY_TIMEOUT: Final = 3.0
#: Seconds for which a refused write counts: some periods of a probe. Then requests may try again.
_RECENTLY: Final = 10.0


@router.get("/livez", operation_id="live", **operations.LIVE)
async def live() -> Response:
    """Answer: the process serves. Does not ask the database."""
    return respond({"status": "alive"})


@router.get("/readyz", operation_id="ready", **operations.READY)
async def ready(request: Request) -> Response:
    """Answer whether requests would succeed: the database answers, takes writes, has the schema; no stop is under way.

    Reads only: that a disk is full shows in the writes of the last seconds.
    """
    services = services_of(request)
    if services.waiters.stopped:
        raise Unavailable("This process is shutting down.")
    reason = await services.threads.run(_obstacle, within=_READY_TIMEOUT)
    if reason is None and (refusal := services.database.refused_write(within=_RECENTLY)) is not None:
        reason = f"The database refused a write in the last {_RECENTLY:.0f} seconds: {refusal}."
    if reason is None:
        return respond({"status": "ready"})
    # Unlike other failures of the server, with the reason: whoever reads this is to mend it.
    _log.warning("not_ready", reason=reason)
    return problem_response(PROBLEMS[Unavailable.code], request.url.path, reason)


def _obstacle(connection: Connection) -> str | None:
    """Return why requests would fail, and what to change; None: they would not."""
    state = DatabaseState.of(connection)
    if (reason := state.unsuitable or state.unwritable) is not None:
        return reason
    return None if schema_is_current(connection) else SCHEMA_IS_OLDER


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
