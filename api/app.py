"""The ASGI application: put together here, from parts that do not know of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.routing import Route

from actors.registry import Registry
from api import (
    bulk,
    changes,
    docs_page,
    events,
    exports,
    files,
    history,
    javascript,
    job_list,
    job_types,
    jobs,
    monitoring,
    openapi,
    outputs,
    probes,
    queues,
    results,
    run,
    streams,
    submit,
    system,
)
from api.auth import Authenticate, current_caller, local_admin
from api.cors import cors
from api.hot_routes import HotRoutes
from api.metrics import Metrics
from api.middleware import BodyLimit, RequestContext
from api.paths import JOB
from api.problems import add_problem_handlers
from api.services import Services
from api.tokens import Tokens
from db.engine import Database
from db.settings import Settings
from db.storage import open_storage
from db.version import VERSION

_FILES: Final = "/v1/files"
_DESCRIPTION: Final = "Durable jobs over HTTP. Errors are problem details (RFC 9457)."


def create_app(
    settings: Settings,
    registry: Registry,
    *,
    database: Database | None = None,
    authenticate: Authenticate = local_admin,
) -> FastAPI:
    """Return the application. It starts its threads when the server starts it, and connects when it is asked.

    Args:
        settings: of this process.
        registry: the job types that can be submitted.
        database: used instead of one made from the settings, and left open.
        authenticate: finds out who sent a request. The default trusts everybody who reaches the server.

    Raises:
        ConfigurationError: a setting of the database, the file storage or the identity provider does not fit.
    """
    storage = open_storage(settings)
    tokens = Tokens.from_settings(settings)
    metrics = Metrics(_HOT_ROUTES)
    used = database or Database(settings, role="api")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = app.state.services = Services.open(settings, registry, used, storage, tokens, metrics)
        try:
            yield
        finally:
            services.stop()
            await asyncio.to_thread(services.close)
            if database is None:
                used.close()

    app = _Application(
        title="Callboard",
        version=VERSION,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Looks at the environment at every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=[
            *cors(settings),
            Middleware(RequestContext, answered=metrics.answered),
            Middleware(BodyLimit, limit=settings.max_body_bytes, exempt=_FILES),
            Middleware(HotRoutes, routes=_HOT_ROUTES),
        ],
    )
    app.state.authenticate = authenticate
    routers = [
        part.router
        for part in (
            docs_page,
            javascript,
            submit,
            bulk,
            run,
            job_list,
            streams,
            jobs,
            events,
            results,
            changes,
            files,
            history,
            exports,
            outputs,
            job_types,
            queues,
            system,
            monitoring,
            probes,
        )
    ]
    for router in routers:
        # Endpoints that do nothing with their caller need one all the same.
        public = router in (docs_page.router, javascript.router, monitoring.router, probes.router)
        app.include_router(router, dependencies=[] if public else [Depends(current_caller)])
    docs_page.mount_assets(app)
    add_problem_handlers(app, [route for router in routers for route in router.routes if isinstance(route, APIRoute)])
    return app


_HOT_ROUTES: Final = (
    Route(JOB, jobs.get_job, methods=["GET"]),
    Route("/v1/jobs", submit.submit_job, methods=["POST"]),
)


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.document(self)
        return self.openapi_schema
