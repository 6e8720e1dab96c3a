"""``GET /v1/jobs/stream``: every change to the jobs that the caller may see, live."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from callboard.api.auth.caller import AsCaller
from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.wire.filters import AsFilter
from callboard.api.wire.parameters import last_event_id, refused_event_id
from callboard.db.rules.snapshot import Snapshot

router = APIRouter(tags=["jobs"])


@router.get("/v1/jobs/stream", operation_id="streamJobs", **operations.STREAM_JOBS)
async def stream_jobs(request: Request, job_filter: AsFilter, caller: AsCaller) -> Response:
    """Tell of every change to these jobs, as server-sent events of type `job` with the job as lists show it.

    Changes within a fraction of a second come as one. Resumed by `Last-Event-ID`, it first tells each job that changed
    since, once, as it is now.
    """
    live = services_of(request).live
    resumed = last_event_id(request)
    permission = live.permission(request, caller)
    if not resumed:
        return live.of_jobs(job_filter, await live.moment(), None, permission)
    since = Snapshot.parse(resumed)
    if since is None:
        raise refused_event_id(request, "is not the id of an event of this stream")
    if job_filter is None:
        return live.of_jobs(None, since, None, permission)
    if not since.can_be_resumed_at(await live.moment()):
        raise refused_event_id(request, "is of another database or too old; list the jobs anew")
    return live.of_jobs(job_filter, since, await live.changes(job_filter, since), permission)
