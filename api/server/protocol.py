"""HTTP connections with bounds on how slowly a request may come, and how large its head may be.

uvicorn waits for ever for the rest of a request, and accepts heads of any size. A reverse proxy bounds both, but not
every server has one in front.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from callboard.api.server.security_headers import secured
from callboard.api.wire.problems import MALFORMED_REQUEST, REQUEST_TIMEOUT, REQUEST_TOO_LONG, Problem, problem_response

#: Most bytes of a request's line and headers together.
_MAX_HEAD: Final = 64 * 2**10
#: Bytes of a body that have to come within each timeout.
_MIN_PROGRESS: Final = 16 * 2**10


class BoundedConnection(HttpToolsProtocol):
    """Measures how long it has been waiting for a request; :meth:`check_timeout` refuses the request after that."""

    _in_head = True
    _received = 0
    _refusal: Problem | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # When the wait for the rest of a request began; None between requests, where uvicorn has a timeout of its own.
        self._waiting_since: float | None = self.loop.time()

    def data_received(self, data: bytes) -> None:
        if self._waiting_since is None:
            self._waiting_since = self.loop.time()
        self._received += len(data)
        super().data_received(data)
        if self._in_head and self._received > _MAX_HEAD and not self.transport.is_closing():
            self._refuse(REQUEST_TOO_LONG)

    def on_headers_complete(self) -> None:
        if self._received > _MAX_HEAD and self._head_size() > _MAX_HEAD:
            self._refusal = REQUEST_TOO_LONG
            raise ValueError("too long")  # the parser ends, and uvicorn calls send_400_response
        super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._waiting_since = None
        self._received = 0
        self._in_head = True

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - says nothing about this request
        """Refuse bytes that are not HTTP."""
        self._refuse(self._refusal or MALFORMED_REQUEST)

    def check_timeout(self, now: float, timeout: float) -> None:
        """Refuse the request if its head, or the next 16 KiB of its body, took longer than the timeout.

        Args:
            now: by the event loop's clock.
            timeout: in seconds.
        """
        if self._waiting_since is None or now - self._waiting_since <= timeout:
            return
        if self._in_head:
            # No timeout for a pipelined request while the one before is being answered.
            if self._all_answered():
                self._refuse(REQUEST_TIMEOUT)
        elif self._all_answered():
            # The response was sent before the end of the body, and the client has had time to read it.
            self.transport.close()
        elif self.flow.read_paused or self._received >= _MIN_PROGRESS or self.cycle.response_started:
            self._waiting_since, self._received = now, 0
        else:
            self._refuse(REQUEST_TIMEOUT)

    def _refuse(self, problem: Problem) -> None:
        if self._may_respond():
            self.transport.write(_bytes_of(problem))
        self.transport.close()

    def _may_respond(self) -> bool:
        if self._in_head:
            # Not to a client that has sent nothing, nor in the middle of the response to an earlier request.
            return self._received > 0 and self._all_answered()
        return not self.cycle.response_started

    def _all_answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)


def _bytes_of(problem: Problem) -> bytes:
    # The path of the request may not have been parsed.
    response = problem_response(problem, "/", problem.explanation, {"Connection": "close"})
    head = b"".join(b"%b: %b\r\n" % header for header in secured(response.raw_headers))
    return b"%b%b\r\n%b" % (STATUS_LINE[problem.status], head, bytes(response.body))
