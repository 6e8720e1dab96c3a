"""The ASGI application: assembled from parts that do not know of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Scope

from callboard.actors.types.registry import Registry
from callboard.api.auth.caller import Authenticate, current_caller, local_admin
from callboard.api.auth.oidc import Tokens
from callboard.api.files import outputs, transfer
from callboard.api.history import exports, summary
from callboard.api.jobs import amend, bulk, events, listing, results, run, show, stream, stream_tickets, submit
from callboard.api.openapi import document
from callboard.api.server.cors import cors
from callboard.api.server.direct_routes import DirectRoutes
from callboard.api.server.methods import StandardMethods
from callboard.api.server.metrics import Metrics
from callboard.api.server.middleware import BodyLimit, RequestContext
from callboard.api.server.refusals import Refusals
from callboard.api.services import Services
from callboard.api.system import (
    docs_page,
    index,
    javascript,
    job_types,
    metrics_page,
    probes,
    queues,
    workers_and_stats,
)
from callboard.api.wire.paths import JOB
from callboard.api.wire.problems import add_problem_handlers
from callboard.api.wire.query import of_operations, require_known_parameters
from callboard.db.files.storage import open_storage
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.version import VERSION

_FILES: Final = "/v1/files"
_DESCRIPTION: Final = (
    "Durable jobs over HTTP. Errors are problem details (RFC 9457). Query parameters that an operation does not have "
    "are refused. `HEAD` is answered wherever `GET` is, with the same headers, and does nothing."
)


def create_app(
    settings: Settings,
    registry: Registry,
    *,
    database: Database | None = None,
    authenticate: Authenticate = local_admin,
    metrics_directory: Path | None = None,
) -> FastAPI:
    """Return the application. It starts threads when the server starts it, and connects to the database on demand.

    Args:
        settings: of this process.
        registry: the job types that can be submitted.
        database: used instead of one made from the settings, and not closed.
        authenticate: returns the caller of a request. The default trusts everybody who reaches the server.
        metrics_directory: where this process and others, whose metrics it shows as well, keep them.

    Raises:
        ConfigurationError: a setting of the database, the file storage or the identity provider does not fit.
    """
    storage = open_storage(settings)
    tokens = Tokens.from_settings(settings)
    metrics = Metrics(_DIRECT_ROUTES, directory=metrics_directory)
    refusals = Refusals()
    connections = database or Database(settings, role="api")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = app.state.services = Services.open(
            settings, registry, connections, storage, tokens, metrics, refusals
        )
        try:
            yield
        finally:
            services.stop()
            await asyncio.to_thread(services.close)
            if database is None:
                connections.close()

    def answered(scope: Scope, status: int, seconds: float) -> None:
        metrics.answered(scope, status, seconds)
        refusals.answered(scope, status)

    app = _Application(
        title="Callboard",
        version=VERSION,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI would read the environment at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=[
            *cors(settings),
            Middleware(RequestContext, answered=answered),
            Middleware(BodyLimit, limit=settings.max_body_bytes, exempt=_FILES),
            Middleware(StandardMethods),
            Middleware(DirectRoutes, routes=_DIRECT_ROUTES),
        ],
    )
    app.state.authenticate = authenticate
    for router in _ROUTERS:
        # Authenticates the requests of endpoints without a caller parameter too.
        authentication = [] if router in _PUBLIC else [Depends(current_caller)]
        app.include_router(router, dependencies=[Depends(require_known_parameters), *authentication])
    docs_page.mount_assets(app)
    operations = [route for router in _ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    app.state.query_parameters = of_operations(operations)
    add_problem_handlers(app, operations)
    return app


#: In the order in which the OpenAPI document lists them.
_ROUTERS: Final = (
    docs_page.router,
    javascript.router,
    submit.router,
    bulk.router,
    run.router,
    listing.router,
    stream.router,
    stream_tickets.router,
    show.router,
    events.router,
    results.router,
    amend.router,
    transfer.router,
    summary.router,
    exports.router,
    outputs.router,
    job_types.router,
    queues.router,
    workers_and_stats.router,
    index.router,
    metrics_page.router,
    probes.router,
)
#: Without authentication.
_PUBLIC: Final = (docs_page.router, javascript.router, index.router, metrics_page.router, probes.router)

_DIRECT_ROUTES: Final = (
    Route(JOB, show.get_job, methods=["GET"]),
    Route("/v1/jobs", submit.submit_job, methods=["POST"]),
)


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = document.document(self)
        return self.openapi_schema
