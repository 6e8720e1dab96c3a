"""The load generator: it sends what it was told, when it was told."""

from __future__ import annotations

import asyncio
import re
import time

from bench.http_load import NOW, Answered, Load, send


async def served(load_of: dict[str, object], status: str = "200 OK") -> tuple[Answered, list[bytes]]:
    """Send a load to a server that answers everything, and return what came of it and the bodies it got."""
    bodies: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
                bodies.append(await reader.readexactly(length))
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await send(Load(port=port, **load_of)), bodies  # type: ignore[arg-type]


def request(body: str) -> str:
    return f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def test_rate_is_kept_and_each_request_says_when_it_was_to_be_sent() -> None:
    load = {"connections": 4, "seconds": 1.0, "requests": [request(f'{{"at":{NOW}}}')], "rate": 100.0}
    before = time.time()
    answered, bodies = asyncio.run(served(load))
    times = [float(body[6:-1]) for body in bodies]
    assert answered.refused == 0
    # Random arrivals: 100 expected, with a standard deviation of 10.
    assert 50 < len(times) < 150
    assert all(before - 0.1 <= each <= before + 30 for each in times)
    assert max(times) - min(times) < 1.0


def test_as_fast_as_it_is_answered() -> None:
    load = {"connections": 2, "seconds": 0.2, "requests": [request("1"), request("2")]}
    answered, bodies = asyncio.run(served(load))
    assert answered.per_second > 0
    assert abs(bodies.count(b"1") - bodies.count(b"2")) <= 1


def test_refused_requests_are_counted() -> None:
    load = {"connections": 1, "seconds": 0.1, "requests": [request("1")]}
    answered, bodies = asyncio.run(served(load, status="503 Service Unavailable"))
    assert answered.refused == len(bodies) > 0
