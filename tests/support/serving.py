"""The application served by uvicorn in a thread, as it is served for real, on a free port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request

from callboard.api.auth.caller import Caller, Role
from callboard.api.server.protocol import BoundedConnection
from callboard.api.server.server import Server


async def caller_of_headers(request: Request) -> Caller:
    """Take the caller from headers; without them it is an admin who owns what ``tests.support.factory`` makes."""
    return Caller(request.headers.get("x-owner", "owner"), Role(request.headers.get("x-role", "admin")))


@dataclass(frozen=True)
class Served:
    app: FastAPI
    server: Server
    url: str
    client: httpx.Client

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    def submit(self, type_: str = "test.job", payload: Any = None, **fields: Any) -> dict[str, Any]:
        """Submit a job that must be accepted; the job."""
        body = {"type": type_, "payload": {} if payload is None else payload, **fields}
        answer = self.client.post("/v1/jobs", json=body)
        assert answer.status_code in {200, 202}, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def get(self, path: str, **params: Any) -> Any:
        """Get what must be there; its JSON."""
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def serving(app: FastAPI) -> Iterator[Served]:
    """Serve the application until the end of the block."""
    config = uvicorn.Config(
        app, http=BoundedConnection, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=10
    )
    server = Server(app, config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            host, port = listening.getsockname()
            url = f"http://{host}:{port}"
            with httpx.Client(base_url=url, timeout=30) as client:
                yield Served(app, server, url, client)
        finally:
            server.should_exit = True
            thread.join()
