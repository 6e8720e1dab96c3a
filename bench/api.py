"""An api process, the empty endpoint beside it, and what asks them."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import orjson

from bench.http_load import Answered, Load
from bench.processes import BenchFailed, Child
from bench.services import Services
from bench.system import System, running
from callboard.db.settings import Settings

_START_TIMEOUT = 60.0


@contextmanager
def serving_api(
    services: Services, settings: Settings, roles: Sequence[tuple[str, Mapping[str, Any]]] = ()
) -> Iterator[tuple[int, System]]:
    """Yield the port of an api that runs beside other roles, and all of them."""
    port = free_port()
    with running(services, settings, [*roles, ("api", {"host": "127.0.0.1", "port": port})]) as system:
        wait_for(port)
        yield port, system


def empty_app(services: Services, port: int) -> Child:
    """Start the least that FastAPI can do."""
    log = services.directory / "empty_app.log"
    return Child("bench.empty_app", str(port), str(os.getpid()), environment={}, log=log)


def load_generator(services: Services) -> Child:
    """Start a process that sends requests."""
    return Child("bench.http_load", environment={}, log=services.directory / "http_load.log")


def send(generator: Child, load: Load) -> Answered:
    """Have the generator send requests, and say how they were answered.

    Raises:
        BenchFailed: some were refused.
    """
    generator.tell(orjson.dumps(asdict(load)).decode())
    answered = Answered(**json.loads(generator.answer()))
    if answered.refused:
        raise BenchFailed(f"{answered.refused} requests were refused: {load.requests[0][:200]}")
    return answered


def post(path: str, body: object) -> str:
    """Return a request."""
    return post_text(path, orjson.dumps(body).decode())


def post_text(path: str, content: str) -> str:
    """Return a request with this content."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n{content}"
    )


def get(path: str) -> str:
    """Return a request."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(*ports: int) -> None:
    """Return when something listens on all of them."""
    give_up_at = time.monotonic() + _START_TIMEOUT
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if time.monotonic() > give_up_at:
                    raise BenchFailed(f"nothing listens on port {port}") from None
                time.sleep(0.05)
