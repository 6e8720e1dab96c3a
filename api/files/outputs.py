"""``GET /v1/jobs/{job_id}/files``: what a job put out. Each file is downloaded at ``/v1/files/{id}``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from callboard.api.auth.caller import AsCaller
from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.wire.filters import Text
from callboard.api.wire.paging import page_token as token_after
from callboard.api.wire.paging import read_page_token
from callboard.api.wire.parameters import JobId
from callboard.api.wire.rendering import output, page, respond
from callboard.db.files.outputs import list_outputs

router = APIRouter(tags=["jobs"])


@router.get("/v1/jobs/{job_id}/files", operation_id="listJobFiles", **operations.LIST_JOB_FILES)
async def files_of_job(
    request: Request,
    job_id: JobId,
    caller: AsCaller,
    page_size: Annotated[int, Query(ge=1, le=500, description="Most files of one page.")] = 100,
    page_token: Annotated[Text | None, Query(description="next_page_token of the page before.")] = None,
) -> Response:
    """Return the files that the job's latest attempt attached, oldest first; of one that runs, those it has so far.

    Those of an attempt whose worker was lost are left out.
    """
    after = None if page_token is None else read_page_token(page_token)
    services = services_of(request)
    await services.reads.job(job_id, caller)
    rows = await services.threads.run(
        # One row more than the page holds shows whether there is a next page.
        lambda connection: list_outputs(connection, job_id, limit=page_size + 1, after=after)
    )
    following = token_after(rows[page_size - 1]["id"]) if len(rows) > page_size else None
    return respond(page([output(row) for row in rows[:page_size]], following))
