"""HTTP connections with bounds on how slowly a request may come, and how large its head and its trailers may be.

uvicorn waits for ever for the rest of a request, accepts heads of any size, takes trailers for headers, and sends
chunks to clients of HTTP/1.0. A reverse proxy sees to all that, but not every server has one in front.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final, NoReturn

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from callboard.api.server.security_headers import secured
from callboard.api.wire.problems import MALFORMED_REQUEST, REQUEST_TIMEOUT, REQUEST_TOO_LONG, Problem, problem_response

#: Most bytes of a request's line and headers together, and of what comes around the pieces of a chunked body.
_MAX_HEAD: Final = 64 * 2**10
#: Bytes of a body that have to come within each timeout.
_MIN_PROGRESS: Final = 16 * 2**10
_VERSIONS: Final = frozenset({"1.0", "1.1"})
#: The characters of a host and port (RFC 3986, section 3.2.2).
_HOST: Final = re.compile(rb"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*")


class BoundedConnection(HttpToolsProtocol):
    """Measures how long it has been waiting for a request; :meth:`check_timeout` refuses the request after that."""

    _in_head = True
    _received = 0
    #: Bytes since the last one of the body: sizes and extensions of chunks, trailers.
    _beside_body = 0
    _refusal: Problem | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # When the wait for the rest of a request began; None between requests, where uvicorn has a timeout of its own.
        self._waiting_since: float | None = self.loop.time()

    def data_received(self, data: bytes) -> None:
        if self._waiting_since is None:
            self._waiting_since = self.loop.time()
        self._received += len(data)
        self._beside_body += len(data)
        super().data_received(data)
        excess = self._received if self._in_head else self._beside_body
        if excess > _MAX_HEAD and not self.transport.is_closing():
            self._refuse(REQUEST_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        # A trailer is no header (RFC 9110, section 6.5.1): it must not say who the caller is. Nothing here needs any.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._received > _MAX_HEAD and self._head_size() > _MAX_HEAD:
            self._end_parsing(REQUEST_TOO_LONG)
        version = self.parser.get_http_version()
        if version not in _VERSIONS or not self._names_one_host(version):
            self._end_parsing(MALFORMED_REQUEST)
        super().on_headers_complete()
        if version == "1.0":
            # uvicorn makes the cycle, which has not begun to run.
            self.cycle.__class__ = _UnchunkedCycle
        self._in_head = False
        self._beside_body = 0

    def on_body(self, body: bytes) -> None:
        self._beside_body = 0
        super().on_body(body)

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

    def _end_parsing(self, refusal: Problem) -> NoReturn:
        self._refusal = refusal
        raise ValueError(refusal.code)  # the parser ends, and uvicorn calls send_400_response

    def _names_one_host(self, version: str) -> bool:
        """Whether there is one Host header that can be a host (RFC 9112, section 3.2); HTTP/1.0 needs none."""
        hosts = [value for name, value in self.headers if name == b"host"]
        if not hosts:
            return version == "1.0"
        return len(hosts) == 1 and _HOST.fullmatch(hosts[0]) is not None

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


class _UnchunkedCycle(RequestResponseCycle):
    """Responds to a client of HTTP/1.0, which knows no chunks: a body of unknown length ends with the connection."""

    _lasts_until_close = False

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "http.response.start":
            self._lasts_until_close = all(name.lower() != b"content-length" for name, _ in message.get("headers", []))
            if self._lasts_until_close:
                self.chunked_encoding = False
        elif message["type"] == "http.response.body" and self._lasts_until_close:
            # uvicorn compares; all that is sent is right.
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)


def _bytes_of(problem: Problem) -> bytes:
    # The path of the request may not have been parsed.
    response = problem_response(problem, "/", problem.explanation, {"Connection": "close"})
    head = b"".join(b"%b: %b\r\n" % header for header in secured(response.raw_headers))
    return b"%b%b\r\n%b" % (STATUS_LINE[problem.status], head, bytes(response.body))
