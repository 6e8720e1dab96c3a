"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from callboard.api.live.send_buffer import SendBuffer
from callboard.db.errors import Unavailable

_log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "text/event-stream"

#: Milliseconds after which a browser comes back when the stream ended or broke.
RETRY: Final = b"retry: 2000\n\n"
#: A comment: tells proxies, and a server whose reader is gone, that the stream lives.
HEARTBEAT: Final = b":\n\n"

_HEADERS: Final = {
    "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "Vary": "Accept",
}


def accepts(header: str) -> bool:
    """Whether an Accept header asks for a stream."""
    return any(part.partition(";")[0].strip().lower() == MEDIA_TYPE for part in header.split(","))


def body_of(event: str, data: bytes) -> bytes:
    """Return an event without its id; ``data`` is one line."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data)


def with_id(position: object, body: bytes = b"\n") -> bytes:
    """Return an event with the id where a reader goes on after it; without a body, only readers' memory changes."""
    return b"id: %b\n%b" % (str(position).encode(), body)


class EventStream(Response):
    """The answer that goes on until its content ends, its reader leaves, or it is dropped."""

    def __init__(self, content: AsyncGenerator[bytes, None], buffer: SendBuffer, *, timeout: float) -> None:
        """
        Args:
            content: what is sent. It is closed at the end.
            outbox: says when the reader is to be dropped.
            timeout: seconds that a reader may take to receive one piece.
        """
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._content = content
        self._outbox = buffer
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endings = [
            asyncio.create_task(coroutine)
            for coroutine in (self._write(send), _disconnected(receive), self._outbox.dropped.wait())
        ]
        try:
            await asyncio.wait(endings, return_when=asyncio.FIRST_COMPLETED)
            written = endings[0].done()
        finally:
            for task in endings:
                task.cancel()
            results = await asyncio.gather(*endings, return_exceptions=True)
        if written and isinstance(results[0], Exception):
            raise results[0]
        if not written and not endings[1].done():
            _log.warning("slow reader dropped", path=scope["path"])

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._content) as content:
            try:
                async for chunk in content:
                    async with asyncio.timeout(self._timeout):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except Unavailable as error:
                # The reader comes back with the id of the last event it has.
                _log.warning("stream ended, the database does not answer", reason=str(error))
            except TimeoutError:
                self._outbox.drop()
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
