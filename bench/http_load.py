"""``python -m bench.http_load``: sends HTTP requests as fast as they are answered, from a process of its own.

Reads one task a line (JSON, see :class:`Load`) and answers each with a line (JSON, see :class:`Answered`). It looks at
nothing but status line and length of an answer, so that one core of it is enough for several servers.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle
from typing import cast

import orjson
import uvloop


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: these requests in turn, on so many connections with one request under way on each."""

    port: int
    connections: int
    seconds: float
    requests: list[str]


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of it. Milliseconds."""

    per_second: float
    p50: float
    p99: float
    refused: int
    """Answers with a status other than 2xx."""


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], until: float, ended: asyncio.Future[None]) -> None:
        self.times: list[float] = []
        self.refused = 0
        self._requests = requests
        self._until = until
        self._ended = ended
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but does not derive from it
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        now = time.perf_counter()
        self.times.append(now - self._sent_at)
        self.refused += head[9:10] != b"2"
        self._received = b""
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._ended.done():
            return
        if error is None and time.perf_counter() >= self._until:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error or ConnectionError("the server closed a connection"))

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0])


async def send(load: Load) -> Answered:
    """Send requests for ``load.seconds``."""
    loop = asyncio.get_running_loop()
    requests = cycle([request.encode() for request in load.requests])
    began = time.perf_counter()
    ends = [loop.create_future() for _ in range(load.connections)]
    connections = [_Connection(requests, began + load.seconds, ended) for ended in ends]
    for connection in connections:
        await loop.create_connection(partial(_same, connection), "127.0.0.1", load.port)
    await asyncio.gather(*ends)
    took = time.perf_counter() - began
    times = sorted(each for connection in connections for each in connection.times)
    return Answered(
        per_second=len(times) / took,
        p50=times[len(times) // 2] * 1000,
        p99=times[len(times) * 99 // 100] * 1000,
        refused=sum(connection.refused for connection in connections),
    )


def _same(connection: _Connection) -> _Connection:
    return connection


def main() -> None:
    for line in sys.stdin:
        answered = uvloop.run(send(Load(**orjson.loads(line))))
        sys.stdout.write(orjson.dumps(asdict(answered)).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
