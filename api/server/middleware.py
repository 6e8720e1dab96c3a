"""Middleware around every request, as plain ASGI: request id, security headers, log, unexpected errors, body limit."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callboard.api.server.security_headers import secured
from callboard.api.wire.problems import error_response, internal_error
from callboard.db.errors import TooLarge
from callboard.db.rules.ids import new_id

_log = structlog.get_logger(__name__)

#: Ids that are adopted from a client or proxy; anything else might garble logs.
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")

#: Made ids are unique: they hold an id of this process and the number of the request.
_BOOT: Final = new_id().hex.encode()
_numbers: Final = itertools.count(1)


class RequestContext:
    """Gives each request an id (X-Request-ID, adopted or made), which is sent back and is part of every log entry.

    Adds the headers of security to each response.

    Responds with a problem, and logs the traceback, when the application raises an exception.
    """

    def __init__(self, app: ASGIApp, *, answered: Callable[[Scope, int, float], None]) -> None:
        """
        Args:
            app: the application.
            answered: called when a response begins, with the request's scope, the status, and the seconds since the
                request.
        """
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        header = (b"x-request-id", request_id)
        begun = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*secured(message["headers"]), header]
                self._answered(scope, status, time.perf_counter() - begun)
            await send(message)

        # Not unbound afterwards: each request has a context of its own, or the next one binds its id anew.
        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            _log.debug("client_disconnected", method=scope["method"], path=scope["path"])
        except Exception:
            _log.exception("unexpected_error", method=scope["method"], path=scope["path"])
            if status:
                raise
            await internal_error(scope["path"])(scope, receive, send_with_id)
        seconds = round(time.perf_counter() - begun, 4)
        _log.debug("request", method=scope["method"], path=scope["path"], status=status, seconds=seconds)


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            adopted: bytes = value
            return adopted
    return b"%s-%x" % (_BOOT, next(_numbers))


class BodyLimit:
    """Refuses bodies above a limit: by their Content-Length, or as soon as more bytes have come."""

    def __init__(self, app: ASGIApp, *, limit: int, exempt: str) -> None:
        """
        Args:
            app: the application.
            limit: in bytes.
            exempt: the path that has a limit of its own.
        """
        self._app = app
        self._limit = limit
        self._exempt = exempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD") or scope["path"] == self._exempt:
            await self._app(scope, receive, send)
            return
        if _declared_length(scope) > self._limit:
            await error_response(self._refusal(), scope["path"])(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise self._refusal()
            return message

        await self._app(scope, receive_limited, send)

    def _refusal(self) -> TooLarge:
        return TooLarge(
            f"The body has more than {self._limit} bytes. Upload large data as a file, or split a batch of jobs."
        )


def _declared_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value[:20]) if value.isdigit() else 0
    return 0
