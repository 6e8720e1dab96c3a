"""The response whose body is a job."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Response

from callboard.api.services import Services
from callboard.api.wire.etags import entity_tag
from callboard.api.wire.rendering import Json, job, respond
from callboard.db.models.job_view import JobView


async def job_response(
    services: Services,
    row: JobView,
    status: int = 200,
    *,
    headers: Mapping[str, str] | None = None,
    more: Json | None = None,
) -> Response:
    """Return a job with its estimate and its ETag.

    Args:
        services: of the application.
        row: the job.
        status: of the response.
        headers: others than the ETag.
        more: fields that the body has beside those of every job.
    """
    shown = job(row, estimate=await services.estimates.of(row))
    tag = entity_tag(row["revision"], row["status"])
    return respond(shown if more is None else shown | more, status, {**(headers or {}), "ETag": tag})
