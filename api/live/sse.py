"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from callboard.api.auth.permission import Permission
from callboard.api.live.disconnects import disconnected
from callboard.api.live.send_buffer import SendBuffer
from callboard.db.errors import Unavailable

_log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "text/event-stream"

#: Milliseconds after which a browser reconnects when the stream ended or broke. The first line of an event: parsers
#: drop a block without data, or take it for an event without any.
_RETRY: Final = b"retry: 2000\n"
#: A comment: shows readers and proxies that the stream lives, and fails where the client is gone.
HEARTBEAT: Final = b":\n\n"

_HEADERS: Final = {
    "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "Vary": "Accept",
}


def event_without_id(event: str, data: bytes) -> bytes:
    """Return an encoded event; ``data`` is one line."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data)


async def with_retry(content: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a stream, each of whole events, with the time to reconnect in the first event."""
    is_told = False
    async with aclosing(content) as chunks:
        async for chunk in chunks:
            if is_told or b"\ndata: " not in chunk.partition(b"\n\n")[0]:
                yield chunk
            else:
                is_told = True
                yield _RETRY + chunk


def with_id(position: object, event: bytes = b"\n") -> bytes:
    """Return the encoded event with an id, which a client sends as Last-Event-ID to resume after it.

    Without an event, only the id that the client remembers changes.
    """
    return b"id: %b\n%b" % (str(position).encode(), event)


class EventStream(Response):
    """A streaming response. It ends with its content or its permission, when the client disconnects or is dropped."""

    def __init__(
        self, content: AsyncGenerator[bytes, None], buffer: SendBuffer, permission: Permission, *, timeout: float
    ) -> None:
        """
        Args:
            content: the chunks to send. It is closed at the end.
            buffer: its ``dropped`` is set when the client is to be dropped.
            permission: when it is lost, the stream ends.
            timeout: seconds that a client may take to receive one chunk.
        """
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._content = content
        self._buffer = buffer
        self._permission = permission
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endings = [
            asyncio.create_task(coroutine)
            for coroutine in (self._write(send), disconnected(receive), self._buffer.dropped.wait())
        ]
        watch = asyncio.create_task(self._end_with_permission(scope))
        try:
            await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
            written = endings[0].done()
        finally:
            for task in (*endings, watch):
                task.cancel()
            results = await asyncio.gather(*endings, watch, return_exceptions=True)
        if written and isinstance(results[0], Exception):
            raise results[0]
        if not written and not endings[1].done():
            _log.warning("slow_client_dropped", path=scope["path"])

    async def _end_with_permission(self, scope: Scope) -> None:
        await self._permission.lost()
        _log.info("stream_ended", path=scope["path"], reason="its caller may not read it any more")
        self._buffer.end_promptly()

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._content) as content:
            try:
                async for chunk in content:
                    async with asyncio.timeout(self._timeout):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except Unavailable as error:
                # The client reconnects with the id of the last event that it has.
                _log.warning("stream_interrupted", reason=str(error))
            except TimeoutError:
                self._buffer.drop()
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
