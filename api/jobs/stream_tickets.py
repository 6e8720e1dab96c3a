"""``POST /v1/stream-tickets``: what opens a live stream for a minute without a key."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.datastructures import QueryParams

from callboard.api.auth.caller import AsCaller
from callboard.api.jobs.events import events_of_job
from callboard.api.jobs.stream import stream_jobs
from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.wire.bodies import json_body, parse
from callboard.api.wire.parameters import uuid_of
from callboard.api.wire.query import QueryParameters
from callboard.api.wire.rendering import respond
from callboard.api.wire.requests import MakeStreamTicket
from callboard.api.wire.times import rfc3339
from callboard.db.errors import FieldError, InvalidInput

router = APIRouter(tags=["jobs"])

_OF_JOB: Final = re.compile(r"/v1/jobs/([^/]+)/events")
_OF_JOBS: Final = "/v1/jobs/stream"


@router.post("/v1/stream-tickets", operation_id="makeStreamTicket", **operations.MAKE_STREAM_TICKET)
async def make_stream_ticket(request: Request, caller: AsCaller) -> Response:
    """Make a ticket for one live stream, for clients that cannot send `Authorization`, as browsers' `EventSource`.

    With the parameter `ticket` the stream's URL can be opened for a minute, as often as it breaks. The ticket opens
    nothing else, ends with the key that made it, and gives no more than its caller may see.
    """
    path, _, query = parse(MakeStreamTicket, await json_body(request)).url.partition("?")
    of_job = _OF_JOB.fullmatch(path)
    if path != _OF_JOBS and (of_job is None or uuid_of(of_job[1]) is None):
        raise InvalidInput(
            f"There are tickets for {_OF_JOBS} and /v1/jobs/<id>/events, each with its parameters.",
            [FieldError("is not the path of a live stream", "/url")],
        )
    # An EventSource would not say what is wrong.
    operation: QueryParameters = request.app.state.query_parameters[events_of_job if of_job else stream_jobs]
    operation.require_fit(QueryParams(dict(QueryParams(query))))
    ticket, expires_at = services_of(request).tickets.make(caller, path, query)
    shown = {"ticket": ticket, "expires_at": rfc3339(datetime.fromtimestamp(expires_at, UTC))}
    return respond(shown, 201, {"Cache-Control": "no-store"})
