"""``GET /metrics``, for Prometheus."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from callboard.api.auth.caller import current_caller
from callboard.api.openapi import operations
from callboard.api.services import services_of

router = APIRouter(tags=["server"])


@router.get("/metrics", operation_id="getMetrics", **operations.METRICS)
async def metrics(request: Request) -> Response:
    """Return the metrics of this process and of the system, in Prometheus's text format.

    For those who see the system: viewers and above, or everybody where `CALLBOARD_METRICS_PUBLIC` says so. While the
    database is away, `callboard_database_up` is 0 and what only it knows is left out.
    """
    services = services_of(request)
    if not services.settings.metrics_public:
        (await current_caller(request)).require_overview()
    exposition = services.metrics.exposition(await services.gauges.get(), open_streams=len(services.live))
    text = await anyio.to_thread.run_sync(generate_latest, exposition)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
