"""Connections on which a client has to send its requests within bounds.

uvicorn waits for ever for the rest of a request, and takes heads of any size. A reverse proxy bounds both, but not
everybody has one in front.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from callboard.api.wire.problems import MALFORMED_REQUEST, REQUEST_TIMEOUT, REQUEST_TOO_LONG, Problem, problem_response

#: Bytes of a request's line and headers together.
_LARGEST_HEAD: Final = 64 * 2**10
#: Bytes of a body that have to come each time.
_LEAST_PROGRESS: Final = 16 * 2**10


class BoundedConnection(HttpToolsProtocol):
    """Knows how long it has been waiting for a request; :meth:`look` ends it when that is too long."""

    _in_head = True
    _received = 0
    _refusal: Problem | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Since when the rest of a request is awaited; None between requests, when uvicorn's own bound holds.
        self._since: float | None = self.loop.time()

    def data_received(self, data: bytes) -> None:
        if self._since is None:
            self._since = self.loop.time()
        self._received += len(data)
        super().data_received(data)
        if self._in_head and self._received > _LARGEST_HEAD and not self.transport.is_closing():
            self._refuse(REQUEST_TOO_LONG)

    def on_headers_complete(self) -> None:
        if self._received > _LARGEST_HEAD and self._head_size() > _LARGEST_HEAD:
            self._refusal = REQUEST_TOO_LONG
            raise ValueError("too long")  # ends the parser, which has the connection refused
        super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._since = None
        self._received = 0
        self._in_head = True

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - says nothing about this request
        """Answer what is not HTTP."""
        self._refuse(self._refusal or MALFORMED_REQUEST)

    def look(self, now: float, timeout: float) -> None:
        """Refuse the request if its head, or the next piece of its body, has not come for ``timeout`` seconds.

        Args:
            now: of the event loop's clock.
            timeout: in seconds.
        """
        if self._since is None or now - self._since <= timeout:
            return
        if self._in_head:
            # Before the answer to an earlier request, the next one may take its time.
            if self._all_answered():
                self._refuse(REQUEST_TIMEOUT)
        elif self._all_answered():
            # The answer came before the end of the body, and who still sent has had time to read it.
            self.transport.close()
        elif self.flow.read_paused or self._received >= _LEAST_PROGRESS or self.cycle.response_started:
            self._since, self._received = now, 0
        else:
            self._refuse(REQUEST_TIMEOUT)

    def _refuse(self, problem: Problem) -> None:
        # In the middle of another answer, nothing more can be said.
        if self._received and (self._all_answered() if self._in_head else not self.cycle.response_started):
            self.transport.write(_bytes_of(problem))
        self.transport.close()

    def _all_answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)


def _bytes_of(problem: Problem) -> bytes:
    # What the request was for is not known.
    answer = problem_response(problem, "/", problem.explanation, {"Connection": "close"})
    head = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
    return b"%b%b\r\n%b" % (STATUS_LINE[problem.status], head, bytes(answer.body))
