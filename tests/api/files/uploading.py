"""Uploads and downloads as the tests of this folder make them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select

from callboard.actors.types.registry import Registry
from callboard.api.app import create_app
from callboard.db.models import files as rows
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.serving import Served, caller_of_headers, serving
from tests.support.until import until

#: Most bytes of a file.
LIMIT = 8 * 2**20
BIG = os.urandom(2**20) * 5
HEAD = b'--B\r\nContent-Disposition: form-data; name="file"; filename="half.bin"\r\n\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=B"}
END = b"\r\n--B--\r\n"
#: Bytes that a half upload announces.
ANNOUNCED = 5_000_000


@contextmanager
def serving_files(settings: Settings) -> Iterator[Served]:
    """Serve the application. Requests of its client are Ann's unless they say otherwise."""
    with serving(create_app(settings, Registry(), authenticate=caller_of_headers)) as api:
        api.client.headers.update({"x-owner": "ann", "x-role": "client"})
        yield api


def upload(client: httpx.Client, content: bytes = b"0123456789", name: str = "a.txt") -> dict[str, Any]:
    answer = client.post("/v1/files", files={"file": (name, content, "text/plain")})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code
    return body


def count_rows(database: Database) -> int:
    with database.begin() as connection:
        return connection.execute(select(func.count()).select_from(rows)).scalar_one()


@dataclass
class HalfUpload:
    """A connection that has sent the beginning of an upload."""

    connection: socket.socket
    size: int
    """Bytes of the file that it has sent."""

    def finish(self) -> bytes:
        """Send the rest; the beginning of the response."""
        self.connection.sendall(b"x" * (ANNOUNCED - len(HEAD) - self.size - len(END)) + END)
        return self.answer()

    def answer(self) -> bytes:
        return self.connection.recv(65536)


@contextmanager
def half_upload(client: httpx.Client, store: Path, size: int = 3 * 2**20, owner: str = "owner") -> Iterator[HalfUpload]:
    """Begin an upload; yield when a part of it has been stored."""
    url = client.base_url
    before = _begun(store)
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n"
            b"X-Owner: %b\r\nContent-Length: %d\r\n\r\n" % (owner.encode(), ANNOUNCED) + HEAD + b"x" * size
        )
        # Bytes on disk while the request is still arriving: that is what streaming means.
        until(lambda: _begun(store) > before, what="a part of the file is on disk")
        yield HalfUpload(connection, size)


def _begun(store: Path) -> int:
    return sum(path.stat().st_size > 0 for path in store.glob("*.part"))
