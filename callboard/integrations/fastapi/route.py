"""The route of an endpoint that may respond with a job: documents that, and adds the job type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from callboard.integrations.fastapi.responses import PARAMETERS, RESPONSES

#: Attribute of an endpoint: the call for each of its routes.
_MARKED = "__callboard_route__"


class RespondAsyncRoute(APIRoute):
    """An ordinary route, except for endpoints that :func:`mark` has marked."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        on_route = getattr(endpoint, _MARKED, None)
        if on_route is not None:
            options["responses"] = {**RESPONSES, **(options.get("responses") or {})}
            extra = options.get("openapi_extra") or {}
            options["openapi_extra"] = {**extra, "parameters": [*extra.get("parameters", ()), *PARAMETERS]}
        super().__init__(path, endpoint, **options)
        if on_route is not None:
            on_route(self)


def mark(endpoint: Callable[..., Any], on_route: Callable[[APIRoute], None]) -> None:
    """Have ``on_route`` called with each route of the endpoint in routers that :func:`use_in` has prepared."""
    setattr(endpoint, _MARKED, on_route)


def use_in(router: APIRouter) -> None:
    """Have a router make routes of this class from now on, which also inherit its own route class."""
    own = router.route_class
    if not issubclass(own, RespondAsyncRoute):
        router.route_class = (
            RespondAsyncRoute if own is APIRoute else type(f"RespondAsync{own.__name__}", (RespondAsyncRoute, own), {})
        )
