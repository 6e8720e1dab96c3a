"""Routes that bypass FastAPI: submissions and polls, for speed."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from callboard.api.wire.problems import HANDLED_ERRORS, respond_to_error
from callboard.api.wire.query import require_known_parameters


class DirectRoutes:
    """Middleware that calls the endpoints of some routes itself, and passes all other requests on.

    These routes are part of the FastAPI application too, which documents them and responds alike. But its work around
    each request, from an exit stack for dependencies to two layers that catch errors, takes longer than a poll does.
    """

    def __init__(self, app: ASGIApp, *, routes: Sequence[Route]) -> None:
        """
        Args:
            app: gets all other requests.
            routes: those to bypass FastAPI; their endpoints are coroutine functions whose one argument is the request.
        """
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for route in self._routes:
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                scope.update(child_scope)
                request = Request(scope, receive, send)
                try:
                    await require_known_parameters(request)
                    response = await route.endpoint(request)
                except HANDLED_ERRORS as error:
                    response = await respond_to_error(request, error)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
