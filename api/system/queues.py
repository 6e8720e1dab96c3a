"""``/v1/queues/{name}``: pause, resume, limits. Operators only."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection, RowMapping

from callboard.api.auth.caller import AsCaller, Caller
from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.wire import rendering
from callboard.api.wire.audit_actor import actor_of
from callboard.api.wire.bodies import json_body, parse
from callboard.api.wire.rendering import respond
from callboard.api.wire.requests import ConfigureQueue
from callboard.db.access.audit import write_audit
from callboard.db.dispatching.queues import QueueChange, change_queue, ensure_queues, list_queues
from callboard.db.errors import NotFound
from callboard.db.transitions import undispatch

router = APIRouter(tags=["system"])

#: Characters; no longer one can have been made.
_LONGEST_NAME: Final = 100


@router.post("/v1/queues/{name}/pause", operation_id="pauseQueue", **operations.CHANGE_QUEUE)
async def pause(request: Request, name: str, caller: AsCaller) -> Response:
    """Start no more jobs of this queue. Jobs that run go on; asking twice is fine."""
    return await _change(request, caller, name, "queue.pause", QueueChange({"paused": True}))


@router.post("/v1/queues/{name}/resume", operation_id="resumeQueue", **operations.CHANGE_QUEUE)
async def resume(request: Request, name: str, caller: AsCaller) -> Response:
    """Start jobs of this queue again. Asking twice is fine."""
    return await _change(request, caller, name, "queue.resume", QueueChange({"paused": False}))


@router.patch("/v1/queues/{name}", operation_id="configureQueue", **operations.CONFIGURE_QUEUE)
async def configure(request: Request, name: str, caller: AsCaller) -> Response:
    """Change the limits of this queue. They act at once on what waits in it."""
    caller.require_operator()
    body = await json_body(request)
    wanted = await services_of(request).bodies.run(len(body), lambda: parse(ConfigureQueue, body))
    values = wanted.model_dump(exclude_unset=True)
    if "rate_limit" in values:
        values["rate_period"] = None if values["rate_limit"] is None else values.get("rate_period") or 1.0
    return await _change(request, caller, name, "queue.configure", QueueChange(values))


async def _change(request: Request, caller: Caller, name: str, action: str, change: QueueChange) -> Response:
    caller.require_operator()
    services = services_of(request)
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise _no_such_queue(name)

    def apply(connection: Connection) -> RowMapping | None:
        if name in services.queues:
            # Before the first submission and the first worker, the queue of a known job type has no row yet.
            ensure_queues(connection, [name])
        if not change_queue(connection, name, change):
            return None
        if change.values.get("paused") is False:
            # Workers have dropped the messages that they received during the pause.
            undispatch(connection, name, older_than=0.0)
        write_audit(connection, actor_of(request, caller), action, subject=name)
        return next(row for row in list_queues(connection) if row["name"] == name)

    row = await services.threads.run(apply)
    if row is None:
        raise _no_such_queue(name)
    services.submissions.wake_dispatcher()
    return respond(rendering.queue(row))


def _no_such_queue(name: str) -> NotFound:
    return NotFound(f"There is no queue {name[:_LONGEST_NAME]!r}. GET /v1/queues lists them.")
