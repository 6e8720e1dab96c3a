"""The route of an endpoint that answers as a job, too: documents that, and makes the job type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from callboard.integrations.fastapi.answers import PARAMETERS, RESPONSES

#: By endpoint: what to do with its route.
_MARKED = "__callboard_route__"


class RespondAsyncRoute(APIRoute):
    """An ordinary route, except for endpoints that :func:`mark` has marked."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        made = getattr(endpoint, _MARKED, None)
        if made is not None:
            options["responses"] = {**RESPONSES, **(options.get("responses") or {})}
            extra = options.get("openapi_extra") or {}
            options["openapi_extra"] = {**extra, "parameters": [*extra.get("parameters", ()), *PARAMETERS]}
        super().__init__(path, endpoint, **options)
        if made is not None:
            made(self)


def mark(endpoint: Callable[..., Any], made: Callable[[APIRoute], None]) -> None:
    """Let ``made`` be told of each route that an endpoint gets in a router that :func:`use_in` has prepared."""
    setattr(endpoint, _MARKED, made)


def use_in(router: APIRouter) -> None:
    """Let a router's next routes be of this class, and of its own."""
    own = router.route_class
    if not issubclass(own, RespondAsyncRoute):
        router.route_class = (
            RespondAsyncRoute if own is APIRoute else type(f"RespondAsync{own.__name__}", (RespondAsyncRoute, own), {})
        )
