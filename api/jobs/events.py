"""``GET /v1/jobs/{job_id}/events``: the events of a job, as a list or as a live stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from callboard.api.auth.caller import AsCaller
from callboard.api.database.reads import no_such_job
from callboard.api.live import sse
from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.wire.accept import accepts
from callboard.api.wire.parameters import JobId, last_event_id, refused, refused_event_id
from callboard.api.wire.rendering import event, page, respond
from callboard.db.errors import InvalidInput
from callboard.db.reads.timeline import Watch
from callboard.db.rules.event_position import EventPosition

router = APIRouter(tags=["jobs"])


@router.get("/v1/jobs/{job_id}/events", operation_id="listEvents", **operations.LIST_EVENTS)
async def events_of_job(
    request: Request,
    job_id: JobId,
    caller: AsCaller,
    page_size: Annotated[int, Query(ge=1, le=500, description="Most events of one page.")] = 100,
    page_token: Annotated[str | None, Query(max_length=100, description="next_page_token of the page before.")] = None,
) -> Response:
    """Return what happened to a job, oldest first.

    With `Accept: text/event-stream`, as a live stream that ends when the job does. `Last-Event-ID` goes on after that
    event; where nothing can follow any more, the answer is `204`, at which browsers stop coming back.
    """
    services = services_of(request)
    await services.reads.job(job_id, caller)
    streamed = accepts(request.headers.get("accept", ""), sse.MEDIA_TYPE)
    resumed = last_event_id(request)
    last_seen = _position(resumed, lambda detail: refused_event_id(request, detail)) if resumed else None
    after = EventPosition()
    if streamed and last_seen is not None:
        after = last_seen
    elif page_token is not None:
        after = _position(page_token, lambda detail: refused("page_token", detail))
    watch = Watch(job_id, after)
    if not streamed:
        listed = await services.live.events(watch, limit=page_size)
        if listed is None:
            raise no_such_job(job_id)
        next_page_token = str(listed.events[-1].position) if listed.more else None
        shown = page([event(item, item.position) for item in listed.events], next_page_token)
        return respond(shown, headers={"Vary": "Accept"})
    first = await services.live.events(watch)
    if first is None:
        raise no_such_job(job_id)
    if resumed and first.done and not first.events:
        return Response(status_code=204)
    return services.live.of_job(watch, first, services.live.permission(request, caller))


def _position(text: str, refused: Callable[[str], InvalidInput]) -> EventPosition:
    position = EventPosition.parse(text)
    if position is None:
        raise refused("is not the id of an event; take it from one of this job")
    return position
