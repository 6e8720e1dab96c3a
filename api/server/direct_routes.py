"""The endpoints of submissions and polls, past FastAPI's router."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from callboard.api.wire.problems import ANSWERED_ERRORS, answer_error


class DirectRoutes:
    """Answers the requests of some routes, and leaves the others to the application.

    FastAPI documents these as well, but what it does around each request, from an exit stack for dependencies to two
    layers that catch errors, takes longer than a poll does.
    """

    def __init__(self, app: ASGIApp, *, routes: Sequence[Route]) -> None:
        """``routes``: their endpoints are coroutine functions that take the request alone."""
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for route in self._routes:
            match, found = route.matches(scope)
            if match is Match.FULL:
                scope.update(found)
                request = Request(scope, receive, send)
                try:
                    response = await route.endpoint(request)
                except ANSWERED_ERRORS as error:
                    response = await answer_error(request, error)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
