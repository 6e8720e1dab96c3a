"""HEAD and OPTIONS of every resource (RFC 9110, sections 9.3.2 and 9.3.7), and paths that end where they end."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callboard.api.wire.parameters import HEADERS_ONLY
from callboard.api.wire.problems import error_response, methods_of
from callboard.db.errors import NotFound


class StandardMethods:
    """Answers HEAD as GET without the content, and OPTIONS with the methods of the resource.

    To the application, a client that wants the headers alone is one that leaves once it has them. What happens to such
    a client happens here: nothing more is read or sent, a stream ends, a result that was to be erased stays.
    """

    def __init__(self, app: ASGIApp) -> None:
        """``app``: gets all other requests, and HEAD as GET."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].endswith("\n"):
            # The $ of Starlette's routes matches before a newline at the end, too.
            await error_response(NotFound(f"Nothing is at {scope['path'][:100]!r}."), scope["path"])(
                scope, receive, send
            )
        elif scope["method"] == "HEAD":
            await self._answer_head(scope, receive, send)
        elif scope["method"] == "OPTIONS" and not _is_preflight(scope) and (methods := _methods(scope)):
            await Response(status_code=204, headers={"Allow": ", ".join(methods)})(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_answered = False

        async def send_headers(message: Message) -> None:
            nonlocal is_answered
            if is_answered:
                raise ClientDisconnect
            is_answered = True
            scope["method"] = "HEAD"
            await send(message)
            await send({"type": "http.response.body"})

        scope[HEADERS_ONLY] = True
        # Ranges are for GET alone (RFC 9110, section 14.2).
        scope["headers"] = [header for header in scope["headers"] if header[0] != b"range"]
        # In the scope itself: whoever logs and counts the request finds its route there.
        scope["method"] = "GET"
        try:
            await self._app(scope, receive, send_headers)
        except ClientDisconnect:
            if not is_answered:
                raise
        finally:
            scope["method"] = "HEAD"


def _methods(scope: Scope) -> list[str]:
    return methods_of(scope["app"], scope["path"])


def _is_preflight(scope: Scope) -> bool:
    # Those that are allowed have been answered by now.
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])
