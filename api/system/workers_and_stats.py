"""``/v1/queues``, ``/v1/workers``, ``/v1/worker-status``, ``/v1/stats``: the present state of the system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection, RowMapping

from callboard.api.auth.caller import AsCaller
from callboard.api.openapi import operations
from callboard.api.services import services_of
from callboard.api.wire import rendering
from callboard.api.wire.rendering import page, respond
from callboard.api.wire.times import rfc3339
from callboard.db.dispatching.queues import list_queues
from callboard.db.fleet.workers import list_workers, read_workforce
from callboard.db.history.rollups import Bucket, Dimension, summarise
from callboard.db.reads.jobs import count_live
from callboard.db.rules.states import LIVE

router = APIRouter(tags=["system"])

_OUTCOMES: Final = ("succeeded", "failed", "cancelled", "expired")
_OF_QUEUE: Final = ("queue", "workers", "threads", "paused")
_FINISHED_WITHIN: Final = timedelta(days=1)
_MOST_TYPES: Final = 1000


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


@router.get("/v1/worker-status", operation_id="getWorkerStatus", **operations.GET_WORKER_STATUS)
async def worker_status(request: Request) -> Response:
    """Say whether jobs run at all: how many workers take jobs, of which queues. For every role."""
    services = services_of(request)
    force = await services.threads.run(
        lambda connection: read_workforce(connection, lease_ttl=services.settings.lease_ttl)
    )
    return respond(
        {
            "at": rfc3339(datetime.now(UTC)),
            "alive": force.workers > 0,
            "workers": force.workers,
            "threads": force.threads,
            "items": [{name: row[name] for name in _OF_QUEUE} for row in force.by_queue],
        }
    )


@router.get("/v1/stats", operation_id="getStats", **operations.GET_STATS)
async def stats(request: Request, caller: AsCaller) -> Response:
    """Count the jobs that the caller may see.

    The live ones now, by status, type and queue; and those that `finished` in the last day, by status and type. Of
    these, jobs that ended in the last seconds may be missing; `summariseHistory` knows other times.
    """
    owner = None if caller.sees_all else caller.owner
    now = datetime.now(UTC)
    since, until = Bucket.HOUR.floor(now - _FINISHED_WITHIN), Bucket.HOUR.ceil(now)

    def read(connection: Connection) -> tuple[Sequence[RowMapping], Sequence[RowMapping]]:
        finished = summarise(connection, since, until, bucket=None, by=Dimension.TYPE, owner=owner, groups=_MOST_TYPES)
        return count_live(connection, owner=owner), finished

    rows, finished = await services_of(request).threads.run(read)
    return respond(
        {
            "at": rfc3339(now),
            "live": sum(row["jobs"] for row in rows),
            "by_status": {**dict.fromkeys((status.value for status in LIVE), 0), **_sums(rows, "status")},
            "by_type": _sums(rows, "type"),
            "by_queue": _sums(rows, "queue"),
            "items": [{name: row[name] for name in ("status", "type", "queue", "jobs")} for row in rows],
            "finished": {
                "from": rfc3339(since),
                "to": rfc3339(until),
                "jobs": sum(row["jobs"] for row in finished),
                "by_status": {name: sum(row[name] for row in finished) for name in _OUTCOMES},
                "by_type": {row["value"]: {name: row[name] for name in _OUTCOMES} for row in finished},
            },
        }
    )


def _sums(rows: Sequence[RowMapping], name: str) -> Mapping[str, int]:
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row[name]] += row["jobs"]
    return dict(sorted(sums.items()))
