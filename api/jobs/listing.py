"""``GET /v1/jobs``: live and finished jobs in one list, newest first."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.wire.filters import AsFilter, Text
from callboard.api.wire.paging import page_token as token_after
from callboard.api.wire.paging import read_page_token
from callboard.api.wire.rendering import job_in_list, page, respond
from callboard.db.reads import lists

router = APIRouter(tags=["jobs"])


@router.get("/v1/jobs", operation_id="listJobs", **operations.LIST_JOBS)
async def list_jobs(
    request: Request,
    job_filter: AsFilter,
    page_size: Annotated[int, Query(ge=1, le=500, description="Most jobs of one page.")] = 50,
    page_token: Annotated[Text | None, Query(description="next_page_token of the page before.")] = None,
) -> Response:
    """List jobs, live and finished, newest first; without payloads and results.

    A page may have fewer jobs than `page_size`, even none: as long as there is a `next_page_token`, there may be more.
    """
    before = None if page_token is None else read_page_token(page_token)
    if job_filter is None:
        return respond(page([]))
    found = await services_of(request).threads.run(
        lambda connection: lists.list_jobs(connection, job_filter, limit=page_size, before=before)
    )
    following = None if found.following is None else token_after(found.following)
    headers = None if following is None else {"Link": _link(request, following)}
    return respond(page([job_in_list(row) for row in found.rows], following), headers=headers)


def _link(request: Request, following: str) -> str:
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "page_token"]
    return f'<{request.url.path}?{urlencode([*others, ("page_token", following)])}>; rel="next"'
