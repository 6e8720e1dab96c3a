"""``/``: where things are."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from callboard.api.openapi import operations
from callboard.api.wire.accept import accepts
from callboard.api.wire.rendering import respond
from callboard.db.version import VERSION

router = APIRouter(tags=["server"])

_LINKS: Final = {
    "docs": "/docs",
    "openapi": "/openapi.json",
    "job_types": "/v1/job-types",
    "jobs": "/v1/jobs",
    "ready": "/readyz",
}
_VARY: Final = {"Vary": "Accept"}


@router.get("/", operation_id="getIndex", **operations.INDEX)
async def index(request: Request) -> Response:
    """Say what this server is and where its parts are. Browsers (`Accept: text/html`) are sent to `/docs`."""
    if accepts(request.headers.get("accept", ""), "text/html"):
        return RedirectResponse(_LINKS["docs"], 307, _VARY)
    return respond({"name": "callboard", "version": VERSION, "links": _LINKS}, headers=_VARY)
