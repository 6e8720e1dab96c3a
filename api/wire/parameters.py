"""Parameters of requests.

Those of submissions and polls are parsed here: FastAPI's dependencies would take as long as the rest of the request.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Path, Request

from callboard.api.database.reads import no_such_job
from callboard.db.errors import FieldError, InvalidInput

#: In the scope of a request that is answered as GET is, without the content.
HEADERS_ONLY: Final = "callboard.headers_only"
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


def parse_job_id(text: str) -> UUID:
    """Return the job id in a path.

    Raises:
        NotFound: the text is not a UUID in its usual form, so no job has this id.
    """
    job_id = uuid_of(text)
    if job_id is None:
        raise no_such_job(text[:50])
    return job_id


def uuid_of(text: str) -> UUID | None:
    """Return the UUID in a path; None for any other form than the usual one, which would be another name for it."""
    # UUID() also takes braces, a URN, and, as int() does, signs, underscores and blanks around the digits.
    return UUID(text) if _UUID.fullmatch(text) else None


async def _job_id(
    job_id: Annotated[str, Path(description="The job.", json_schema_extra={"format": "uuid"})],
) -> UUID:
    return parse_job_id(job_id)


JobId = Annotated[UUID, Depends(_job_id)]
"""The type of an endpoint's parameter that takes the job id in the path."""


def seconds(request: Request, name: str, *, most: float) -> float | None:
    """Return a query parameter in seconds; None if it is missing.

    Raises:
        InvalidInput: it is not a number from 0 to ``most``.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise refused(name, f"must be a number of seconds from 0 to {most:g}")
    return value


def boolean(request: Request, name: str) -> bool | None:
    """Return a query parameter that is true or false; None if it is missing.

    Raises:
        InvalidInput: it is neither.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise refused(name, "must be true or false")
    return value


def includes_payload(request: Request) -> bool:
    """Return whether the query has ``include=payload``.

    Raises:
        InvalidInput: ``include`` has another value.
    """
    value = request.query_params.get("include")
    if value not in (None, "payload"):
        raise refused("include", "must be payload")
    return value is not None


def last_event_id(request: Request) -> str | None:
    """Return the id of the last event that the reader of a stream has; None or empty without one.

    The header, which browsers send as they come back by themselves, is newer than the query of the same URL.
    """
    return request.headers.get("last-event-id") or request.query_params.get("last_event_id")


def refused_event_id(request: Request, detail: str) -> InvalidInput:
    """Return the error for what :func:`last_event_id` returned."""
    if request.headers.get("last-event-id"):
        return refused("Last-Event-ID", detail, where="headers")
    return refused("last_event_id", detail)


def refused(name: str, detail: str, *, where: str = "query") -> InvalidInput:
    """Return the error for a parameter; ``where``: query, path or headers."""
    return InvalidInput(f"The parameter {name} {detail}.", [FieldError(detail, f"/{where}/{name}")])


def documented(name: str, schema: dict[str, Any], description: str, *, where: str = "query") -> dict[str, Any]:
    """Return a parameter as the OpenAPI document describes it; ``where``: query, path or header."""
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "schema": schema,
        "description": description,
    }


JOB_ID: Final = documented("job_id", {"type": "string", "format": "uuid"}, "The job.", where="path")
