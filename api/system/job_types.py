"""``GET /v1/job-types``: the job types that clients may submit."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic_core import to_jsonable_python

from callboard.actors.types.registry import JobType, Registry
from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.wire.rendering import Json, page, respond
from callboard.db.errors import NotFound, UnknownJobType

router = APIRouter(tags=["job types"])


@router.get("/v1/job-types", operation_id="listJobTypes", **operations.LIST_JOB_TYPES)
async def list_job_types(request: Request) -> Response:
    """List what can be submitted, by name."""
    return respond(page([_shown(job_type) for job_type in services_of(request).registry]))


@router.get("/v1/job-types/{name:path}", operation_id="getJobType", **operations.GET_JOB_TYPE)
async def get_job_type(request: Request, name: str) -> Response:
    """Return one job type."""
    return respond(_shown(known_type(services_of(request).registry, name)))


def known_type(registry: Registry, name: str) -> JobType:
    """Return the job type with the name at the end of a path.

    Raises:
        NotFound: there is none; the message lists similar names.
    """
    # Proxies make one slash of two, so the name of a type that begins with one may arrive without it.
    for candidate in (name, f"/{name}"):
        if candidate in registry:
            return registry.get(candidate)
    try:
        return registry.get(name[:200])
    except UnknownJobType as error:
        # Not 422: the name is part of the path, not of the body.
        raise NotFound(str(error)) from None


def _shown(job_type: JobType) -> Json:
    return {
        "name": job_type.name,
        "queue": job_type.queue,
        "description": job_type.description,
        "defaults": {
            "priority": job_type.priority,
            "max_retries": job_type.max_retries,
            "time_limit": job_type.time_limit,
            "min_backoff": job_type.min_backoff,
            "max_backoff": job_type.max_backoff,
        },
        "bounds": {
            "priority": {"minimum": 0, "maximum": 9},
            "max_retries": {"minimum": 0, "maximum": job_type.highest_max_retries},
            "time_limit": {"exclusive_minimum": 0, "maximum": job_type.highest_time_limit},
        },
        "payload_schema": job_type.payload.json_schema(mode="validation"),
        "result_schema": job_type.result.json_schema(mode="serialization"),
        "example": to_jsonable_python(job_type.example),
    }
