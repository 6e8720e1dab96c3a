"""``/v1/queues``, ``/v1/workers``, ``/v1/stats``: the present state of the system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from sqlalchemy import RowMapping

from callboard.api.auth.caller import AsCaller
from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.wire import rendering
from callboard.api.wire.rendering import page, respond
from callboard.api.wire.times import rfc3339
from callboard.db.dispatching.queues import list_queues
from callboard.db.fleet.workers import list_workers
from callboard.db.reads.jobs import count_live
from callboard.db.rules.states import LIVE

router = APIRouter(tags=["system"])


@router.get("/v1/queues", operation_id="listQueues", **operations.LIST_QUEUES)
async def queues(request: Request) -> Response:
    """List the queues: how full they are, and their settings."""
    rows = await services_of(request).threads.run(list_queues)
    return respond(page([rendering.queue(row) for row in rows]))


@router.get("/v1/workers", operation_id="listWorkers", **operations.LIST_WORKERS)
async def workers(request: Request, caller: AsCaller) -> Response:
    """List the worker processes that were seen in the last day, newest first."""
    caller.require_overview()
    rows = await services_of(request).threads.run(list_workers)
    return respond(page([rendering.worker(row) for row in rows]))


@router.get("/v1/stats", operation_id="getStats", **operations.GET_STATS)
async def stats(request: Request, caller: AsCaller) -> Response:
    """Count the live jobs that the caller may see, by status, type and queue, now."""
    owner = None if caller.sees_all else caller.owner
    rows = await services_of(request).threads.run(lambda connection: count_live(connection, owner=owner))
    return respond(
        {
            "at": rfc3339(datetime.now(UTC)),
            "live": sum(row["jobs"] for row in rows),
            "by_status": {**dict.fromkeys((status.value for status in LIVE), 0), **_sums(rows, "status")},
            "by_type": _sums(rows, "type"),
            "by_queue": _sums(rows, "queue"),
            "items": [{name: row[name] for name in ("status", "type", "queue", "jobs")} for row in rows],
        }
    )


def _sums(rows: Sequence[RowMapping], name: str) -> Mapping[str, int]:
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row[name]] += row["jobs"]
    return dict(sorted(sums.items()))
