"""No request holds the event loop for long or costs many times its size in memory: all operations, hostile requests."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest

from tests.support.api_process import ApiProcess, api_process
from tests.support.databases import Databases, settings_of
from tests.support.measured_api import FILE, LongestHold
from tests.support.servers import ALL

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

MEGABYTE: Final = 2**20
#: Seconds of CPU time.
MOST_HELD: Final = 0.05
#: Times its size, and beside that bytes which any request may cost: what the most small things of a part take.
MOST_TIMES: Final = 10
MOST_BESIDES: Final = 32 * MEGABYTE
#: What a request costs it costs each time, so the least of some times counts: all else is the machine's.
TRIES: Final = 10

JSON: Final = "application/json"
DOCUMENT: Final = json.loads((Path(__file__).parents[3] / "docs/openapi.json").read_text(encoding="utf-8"))
OPERATIONS: Final[Mapping[str, tuple[str, str, Mapping[str, Any]]]] = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


@dataclass(frozen=True)
class Measured:
    """An api process whose requests are measured."""

    api: ApiProcess
    longest: LongestHold

    def refuse_costly(self, send: Callable[[httpx.Client], object], size: int) -> None:
        """Send a request of ``size`` bytes until once it is as cheap as each has to be."""
        held, cost = float("inf"), 0
        most = MOST_TIMES * size + MOST_BESIDES
        for _ in range(TRIES):
            self._forget_peak()
            before = self.api.resident()
            self.longest.set(0.0)
            send(self.api.client)
            held, cost = min(held, self.longest.get()), self.api.peak() - before
            if held < MOST_HELD and cost < most:
                break
        assert held < MOST_HELD, f"It held the loop for {held * 1000:.0f} ms of CPU time."
        assert cost < most, f"Its {size:,} bytes cost {cost:,}."

    def _forget_peak(self) -> None:
        Path(f"/proc/{self.api.process.pid}/clear_refs").write_text("5")


@pytest.fixture(scope="module")
def measured(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    directory = tmp_path_factory.mktemp("measured")
    longest = LongestHold(directory / "longest")
    environment: dict[str, Any] = {
        FILE: str(directory / "longest"),
        "CALLBOARD_JOB_MODULES": "tests.support.wide_jobs",
    }
    settings = settings_of(databases.emptied(ALL[-1]))
    with api_process(settings, directory, module="tests.support.measured_api", **environment) as api:
        for _ in range(3):  # what is loaded and connected for the first time
            api.client.post("/v1/jobs", json={"type": "diagnostics.echo", "payload": {"value": 1}})
        yield Measured(api, longest)
        assert "Traceback" not in api.log.read_text()


# --- bodies --------------------------------------------------------------------------------------------------------


def _list(item: bytes) -> Callable[[int], bytes]:
    return lambda size: b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"


#: JSON, and what only begins like it, of about so many bytes.
VALUES: Final[Mapping[str, Callable[[int], bytes]]] = {
    "objects": _list(b"{}"),
    "arrays": _list(b"[]"),
    "objects with a name": _list(b'{"a":1}'),
    "objects in objects": _list(b'{"a":{"b":{}}}'),
    "zeros": _list(b"0"),
    "floats": _list(b"1.5e3"),
    "nulls": _list(b"null"),
    "empty strings": _list(b'""'),
    "NUL characters": _list(b'"\\u0000"'),
    "infinities": _list(b"1e400"),
    "long integers": _list(b"9" * 20),
    "longer integers": _list(b"9" * 4000),
    "names": lambda size: b"{" + b",".join(b'"%07d":0' % number for number in range(size // 12)) + b"}",
    "one name": lambda size: b"{" + b",".join([b'"a":0'] * (size // 6)) + b"}",
    "a string": lambda size: b'"' + b"x" * size + b'"',
    "escapes": lambda size: b'"' + b"\\n" * (size // 2) + b'"',
    "quotation marks": lambda size: b'"' + b'\\"' * (size // 2) + b'"',
    "escaped letters": lambda size: b'"' + b"\\u00e9" * (size // 6) + b'"',
    "commas and escapes in a string": lambda size: b'"' + b",\\n" * (size // 3) + b'"',
    "surrogates": lambda size: b'"' + b"\\ud83d\\ude00" * (size // 12) + b'"',
    "brackets in a string": lambda size: b'"' + b"{[,]}" * (size // 5) + b'"',
    "a string without end": lambda size: b'"' + b"\\\\" * (size // 2),
    "strings without commas": lambda size: b'""' * (size // 2),
    "digits": lambda size: b"9" * size,
    "decimals": lambda size: b"0." + b"9" * size,
    "an exponent": lambda size: b"1e" + b"9" * size,
    "blanks": lambda size: b" " * size + b"1",
    "depth": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    "depth without end": lambda size: b"[" * size,
    "deep objects": lambda size: b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6),
    "much of some depth": _list(b"[" * 150 + b"]" * 150),
    "commas": lambda size: b"," * size,
    "not UTF-8": lambda size: b'"' + b"\xff" * size + b'"',
}
_ECHO: Final = b'{"type":"diagnostics.echo","payload":{"value":%b}}'
_WIDE: Final = b'{"type":"wide.table","payload":{"rows":%b}}'
_UNION: Final = b'{"type":"wide.union","payload":%b}'
#: Where such a value is in the body of an operation.
PLACES: Final[Mapping[str, tuple[tuple[str, bytes], ...]]] = {
    "submitJob": (
        ("all", b"%b"),
        ("payload", _ECHO),
        ("rows", _WIDE),
        ("union", _UNION),
        ("tags", b'{"type":"diagnostics.echo","payload":1,"tags":%b}'),
    ),
    "submitBatch": (
        ("all", b"%b"),
        ("jobs", b'{"jobs":%b}'),
        ("payload", b'{"jobs":[%b]}' % _ECHO),
        ("rows", b'{"jobs":[%b]}' % _WIDE),
        ("beside", b'{"jobs":[],"more":%b}'),
    ),
    "runJob": (("all", b"%b"),),
    "bulkJobs": (("all", b"%b"), ("filter", b'{"action":"cancel","filter":{"tag":%b}}')),
    "amendJob": (("all", b"%b"), ("tags", b'{"tags":%b}')),
    "configureQueue": (("all", b"%b"),),
    "makeStreamTicket": (("all", b"%b"),),
}
_LARGE: Final = (MEGABYTE // 2 - 100, 3 * MEGABYTE + MEGABYTE // 4)
_HUGE: Final = 14 * MEGABYTE


def test_all_bodies_are_tried() -> None:
    with_json = {name for name, (_, _, operation) in OPERATIONS.items() if JSON in _contents(operation)}
    assert set(PLACES) == with_json


def _contents(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    body: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
    return body


def _path(name: str, measured: Measured) -> str:
    path = OPERATIONS[name][1]
    if "{job_id}" in path:
        later = {"type": "diagnostics.echo", "payload": {"value": 1}, "delay": 86_400}
        path = path.replace("{job_id}", measured.api.client.post("/v1/jobs", json=later).json()["id"])
    return path.replace("{name}", "diagnostics").replace("{job_type}", "diagnostics.echo")


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("name", "place"), [(name, place) for name in PLACES for place, _ in PLACES[name]])
def test_bodies(measured: Measured, name: str, place: str, value: str) -> None:
    path = _path(name, measured)
    frame = dict(PLACES[name])[place]
    # What is larger is refused unread, but for batches.
    for size in (*_LARGE, _HUGE) if name == "submitBatch" or value == "objects" else _LARGE:
        body = frame % VALUES[value](size)

        def send(client: httpx.Client, body: bytes = body) -> None:
            answer = client.request(OPERATIONS[name][0], path, content=body, headers={"Content-Type": JSON})
            assert answer.status_code < 500, answer.text

        measured.refuse_costly(send, len(body))


# --- uploads -------------------------------------------------------------------------------------------------------

_PART: Final = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
#: Multipart bodies of about so many bytes.
UPLOADS: Final[Mapping[str, Callable[[int], bytes]]] = {
    "lines": lambda size: _PART + b"\r\n" * (size // 2) + b"\r\n--B--\r\n",
    "returns": lambda size: _PART + b"\r" * size + b"\r\n--B--\r\n",
    "nearly boundaries": lambda size: _PART + b"\r\n--A" * (size // 5) + b"\r\n--B--\r\n",
    "boundaries": lambda size: _PART + b"\r\n--B" * (size // 5) + b"\r\n--B--\r\n",
    "parts": lambda size: (_PART + b"\r\n") * (size // 70) + b"--B--\r\n",
    "before the first": lambda size: b"x\r\n" * (size // 3) + _PART + b"\r\n--B--\r\n",
    "after the last": lambda size: _PART + b"\r\n--B--\r\n" + b"x" * size,
    "a header": lambda size: b"--B\r\nContent-Disposition: " + b"x" * size,
    "headers": lambda size: b"--B\r\n" + b"X-A: b\r\n" * (size // 8),
    "a name": lambda size: b'--B\r\nContent-Disposition: form-data; name="' + b"x" * size,
}


@pytest.mark.parametrize("kind", UPLOADS)
def test_uploads(measured: Measured, kind: str) -> None:
    body = UPLOADS[kind](14 * MEGABYTE)

    def send(client: httpx.Client) -> None:
        form = {"Content-Type": "multipart/form-data; boundary=B"}
        assert client.post("/v1/files", content=body, headers=form).status_code < 500

    measured.refuse_costly(send, len(body))


# --- all the rest of a request -------------------------------------------------------------------------------------

#: Bytes: with the rest of a head, less than 64 KiB.
_LONG: Final = 60_000
_TEXTS: Final = tuple(
    (piece * _LONG)[:_LONG] + end
    for piece, end in (
        (" ", "x"),
        (",", ""),
        ('"', ""),
        ('W/"a",', ""),
        ("9", ""),
        ("a=", ""),
        (";q=0", ""),
        ("x;", "x"),
        ("bytes= ", "-"),
        ("\\", '"'),
        ("aA", ""),
    )
)
_HEADERS: Final = (
    "Accept", "Accept-Encoding", "Authorization", "Connection", "Content-Type", "Cookie", "Idempotency-Key",
    "If-Match", "If-None-Match", "If-Range", "Last-Event-ID", "Prefer", "Range", "X-Forwarded-For", "X-Request-ID",
)  # fmt: skip
_PIECES_OF_QUERIES: Final = ("{0}=x&", "{0}=1&", "{0}=a:b&", "{0}=%00&", "{0}&", "&", "%", ";", "{0}[]=1&")
_SEGMENTS: Final = tuple((piece * _LONG)[:_LONG] for piece in ("a", "9", "%00", "%2F", "%C3%BC", "..%2F", "-"))


@pytest.mark.parametrize("name", OPERATIONS)
def test_headers(measured: Measured, name: str) -> None:
    path = _existing(name, measured)
    declared = [item["name"] for item in OPERATIONS[name][2].get("parameters", []) if item["in"] == "header"]
    headers = [{header: text} for header in declared for text in _TEXTS]
    # Of those that no operation declares, or another one, each with another text.
    shift = list(OPERATIONS).index(name)
    headers += [{header: _TEXTS[(number + shift) % len(_TEXTS)]} for number, header in enumerate(_HEADERS)]
    _send_all(measured, name, [(path, given) for given in headers])


@pytest.mark.parametrize("name", OPERATIONS)
def test_queries(measured: Measured, name: str) -> None:
    path = _existing(name, measured)
    parameters = [item["name"] for item in OPERATIONS[name][2].get("parameters", []) if item["in"] == "query"]
    queries = [
        (piece.format(parameter) * _LONG)[:_LONG] for parameter in [*parameters, "x"] for piece in _PIECES_OF_QUERIES
    ]
    queries += [f"{parameter}={quote(text[: _LONG // 3])}" for parameter in parameters for text in _TEXTS[:6]]
    _send_all(measured, name, [(f"{path}?{query}", {}) for query in queries])


@pytest.mark.parametrize("name", [name for name, (_, path, _) in OPERATIONS.items() if "{" in path])
def test_paths(measured: Measured, name: str) -> None:
    before, _, after = OPERATIONS[name][1].partition("{")
    _send_all(measured, name, [(f"{before}{text}{after.partition('}')[2]}", {}) for text in _SEGMENTS])


def _existing(name: str, measured: Measured) -> str:
    client = measured.api.client
    path = _path(name, measured).replace("{code}", "internal")
    if "{file_id}" in path:
        path = path.replace("{file_id}", client.post("/v1/files", files={"file": b"x" * 100}).json()["id"])
    return path


def _send_all(measured: Measured, name: str, requests: list[tuple[str, dict[str, str]]]) -> None:
    """Send requests until once none of them is costly."""
    method = OPERATIONS[name][0]

    def send(_client: httpx.Client) -> None:
        for path, headers in requests:
            head = {"Host": "localhost", "Content-Length": "0", "Connection": "close"} | headers
            lines = [f"{method} {path} HTTP/1.1", *(f"{header}: {text}" for header, text in head.items()), "", ""]
            with socket.create_connection(measured.api.address, timeout=60) as connection:
                connection.sendall("\r\n".join(lines).encode())
                # Not to the end: some answers have none.
                begin = connection.recv(65_536)
            assert re.match(rb"HTTP/1\.1 [234]", begin), (path[:100], [*headers], begin[:1000])

    measured.refuse_costly(send, 2**16)
