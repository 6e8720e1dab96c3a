"""``python -m bench.http_load``: sends HTTP requests, as fast as they are answered or at a rate, from its own process.

Reads one task a line (JSON, see :class:`Load`) and answers each with a line (JSON, see :class:`Answered`). It looks at
nothing but status line and length of an answer, so that one core of it is enough for several servers.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle
from typing import Final, cast

import orjson
import uvloop


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: these requests in turn, on so many connections with one request under way on each."""

    port: int
    connections: int
    seconds: float
    requests: list[str]
    rate: float | None = None
    """Requests a second, at random times as from many clients; None: as fast as they are answered."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of it. Milliseconds."""

    count: int
    per_second: float
    p50: float
    p99: float
    refused: int
    """Answers with a status other than 2xx."""


#: In a request, becomes the time at which it was to be sent, in seconds since the epoch: as long as this.
NOW: Final = "@sent-at-in-secs@"


class _Plan:
    """When to send what. Times are of ``time.perf_counter``."""

    def __init__(self, load: Load) -> None:
        self._requests = cycle([request.encode() for request in load.requests])
        self._epoch = time.time() - time.perf_counter()
        self._rate = load.rate
        self._next = time.perf_counter()
        self._until = self._next + load.seconds

    def next(self) -> tuple[float, bytes] | None:
        """Return when to send a request and the request, or None at the end."""
        now = time.perf_counter()
        if self._rate is None:
            due = now
        else:
            # Whoever waits for a free connection waits from the time at which it wanted to send.
            self._next += random.expovariate(self._rate)
            due = self._next
        if due >= self._until:
            return None
        return due, next(self._requests).replace(NOW.encode(), f"{self._epoch + due:.6f}".encode())


class _Connection(asyncio.Protocol):
    def __init__(self, plan: _Plan, ended: asyncio.Future[None]) -> None:
        self.times: list[float] = []
        self.refused = 0
        self._plan = plan
        self._ended = ended
        self._received = b""
        self._sent_at = 0.0
        self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but does not derive from it
        self._go_on()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or len(body) < _content_length(head):
            return
        self.times.append(time.perf_counter() - self._sent_at)
        self.refused += head[9:10] != b"2"
        self._received = b""
        self._go_on()

    def connection_lost(self, error: Exception | None) -> None:
        if self._ended.done():
            return
        if error is None and self._finished:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error or ConnectionError("the server closed a connection"))

    def _go_on(self) -> None:
        planned = self._plan.next()
        if planned is None:
            self._finished = True
            self._transport.close()
            return
        due, request = planned
        wait = due - time.perf_counter()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send, request)
        else:
            self._send(request)

    def _send(self, request: bytes) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(request)


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0])


async def send(load: Load) -> Answered:
    """Send requests for ``load.seconds``."""
    loop = asyncio.get_running_loop()
    plan = _Plan(load)
    began = time.perf_counter()
    ends = [loop.create_future() for _ in range(load.connections)]
    connections = [_Connection(plan, ended) for ended in ends]
    for connection in connections:
        await loop.create_connection(partial(_same, connection), "127.0.0.1", load.port)
    await asyncio.gather(*ends)
    took = time.perf_counter() - began
    times = sorted(each for connection in connections for each in connection.times)
    return Answered(
        count=len(times),
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
