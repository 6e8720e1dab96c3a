"""Connections: trailers, versions of HTTP, Host."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.responses import StreamingResponse

from tests.support.serving import Served

CHUNKED = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
JOB = b'{"type": "test.job", "payload": {}}'
CHUNK = b"%x\r\n%b\r\n" % (len(JOB), JOB)


def raw(api: Served, sent: bytes) -> bytes:
    """Send bytes on a new connection, and return what the server sends until it closes it."""
    with socket.create_connection(api.address, timeout=30) as connection:
        with suppress(OSError):  # the server has closed the connection
            connection.sendall(sent)
        received = b""
        with suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
        return received


def json_of(received: bytes) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(received.partition(b"\r\n\r\n")[2])
    return body


# --- trailers ------------------------------------------------------------------------------------------------------


def test_a_trailer_is_no_header(api: Served) -> None:
    """The tests' servers take the caller from these headers, as real ones from Authorization and X-Forwarded-For."""
    head = CHUNKED.replace(b"\r\n\r\n", b"\r\nX-Owner: ann\r\nX-Role: client\r\nConnection: close\r\n\r\n")
    received = raw(api, head + CHUNK + b"0\r\nX-Owner: eve\r\nX-Role: admin\r\nX-Request-ID: of-a-trailer\r\n\r\n")

    assert received.startswith(b"HTTP/1.1 202 ")
    assert json_of(received)["owner"] == "ann"
    assert b"of-a-trailer" not in received


@pytest.mark.parametrize(
    "trailers",
    [b"X-A: 1\r\n" * 200_000, b"X-A: " + b"x" * 2_000_000 + b"\r\n", b"x" * 2_000_000],
    ids=["many", "a long one", "a long name"],
)
def test_trailers_are_bounded_like_heads(api: Served, trailers: bytes) -> None:
    # The body never ends, so nothing answers the request but the connection itself.
    received = raw(api, CHUNKED + b"0\r\n" + trailers)

    assert not received or received.startswith(b"HTTP/1.1 431 ")
    assert api.client.get("/livez").status_code == 200


def test_extensions_of_a_chunk_are_bounded(api: Served) -> None:
    received = raw(api, CHUNKED + b"1;" + b"x" * 2_000_000)

    assert not received or received.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


def test_a_body_in_small_chunks_is_no_flood(api: Served) -> None:
    blanks = b"1\r\n \r\n" * 60_000
    received = raw(api, CHUNKED.replace(b"x\r\n", b"x\r\nConnection: close\r\n", 1) + blanks + CHUNK + b"0\r\n\r\n")

    assert received.startswith(b"HTTP/1.1 202 ")


# --- versions ------------------------------------------------------------------------------------------------------


async def _slices() -> AsyncIterator[bytes]:
    yield b"one "
    yield b"two"


def test_a_client_of_http_1_0_gets_no_chunks(api: Served) -> None:
    app: FastAPI = api.app

    @app.get("/slices")
    async def slices(_request: Request) -> StreamingResponse:
        return StreamingResponse(_slices(), media_type="text/plain")

    received = raw(api, b"GET /slices HTTP/1.0\r\n\r\n")
    head, _, body = received.partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    assert body == b"one two"


def test_a_stream_for_http_1_0_has_no_chunks(api: Served) -> None:
    job_id = api.submit()["id"]
    assert api.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    sent = b"GET /v1/jobs/%b/events HTTP/1.0\r\nAccept: text/event-stream\r\nX-Owner: owner\r\n\r\n" % job_id.encode()

    head, _, body = raw(api, sent).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in head.lower()
    assert b"event: " in body
    assert body.startswith((b"id:", b"retry:", b"event:", b":"))


def test_with_a_length_http_1_0_is_answered_as_ever(api: Served) -> None:
    head, _, body = raw(api, b"GET /livez HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")

    assert b"content-length: %d" % len(body) in head.lower()


@pytest.mark.parametrize("line", [b"GET /livez\r\n\r\n", b"GET /livez HTTP/0.9\r\nHost: x\r\n\r\n"])
def test_http_0_9_is_refused(api: Served, line: bytes) -> None:
    assert json_of(raw(api, line))["code"] == "malformed-request"


@pytest.mark.parametrize(
    "hosts",
    [b"", b"Host: a\r\nHost: a\r\n", b"Host: a\r\nHost: b\r\n", b"Host: a b\r\n", b"Host: a/b\r\n", b"Host: a@b\r\n"],
    ids=["missing", "twice", "two", "with a blank", "with a path", "with a user"],
)
def test_a_request_names_one_host(api: Served, hosts: bytes) -> None:
    assert json_of(raw(api, b"GET /livez HTTP/1.1\r\n" + hosts + b"\r\n"))["code"] == "malformed-request"


@pytest.mark.parametrize("host", [b"x", b"[::1]:8000", b"callboard.example:443", b""])
def test_hosts(api: Served, host: bytes) -> None:
    received = raw(api, b"GET /livez HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")

    assert received.startswith(b"HTTP/1.1 200 ")
