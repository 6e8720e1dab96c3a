"""Malicious input: a 4xx problem each time, no traceback in the log, constant memory."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.api_process import ApiProcess, api_process
from tests.support.databases import Databases, settings_of
from tests.support.servers import ALL
from tests.support.until import until

pytestmark = pytest.mark.faults

#: The id of a job that nobody has made; the same in each process of a test run, which must agree on the tests' names.
NOBODY = "019aa1f0-7c00-7000-8000-000000000000"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=B"}
MEGABYTE = 2**20
#: Bytes that the process may grow by over all of this module, allocators' leftovers included.
GROWTH = 64 * MEGABYTE
#: Seconds; short, as tests wait for it.
RECEIVE_TIMEOUT = "1"


@pytest.fixture(scope="module")
def hostile_api(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    """An api process for all of this module, whose log and memory are checked at the end."""
    settings = settings_of(databases.emptied(ALL[-1]))
    with api_process(settings, tmp_path_factory.mktemp("api"), CALLBOARD_RECEIVE_TIMEOUT=RECEIVE_TIMEOUT) as api:
        # Before measuring: what the allocator keeps after the first requests is no growth.
        for body in BODIES.values():
            api.client.post("/v1/jobs/batch", content=b'{"jobs": [%b]}' % body, headers=JSON)
            submit(api, (b"x" * MEGABYTE for _ in range(16)))
        before = api.resident()
        yield api
        assert api.client.get("/readyz").status_code == 200
        grown = api.resident() - before
        print(f"resident memory grew by {grown / MEGABYTE:.1f} MB from {before / MEGABYTE:.1f} MB")
        assert grown < GROWTH
        log = api.log.read_text()
        assert "Traceback" not in log
        assert "Exception" not in log
        assert "hunter2" not in log


def submit(api: ApiProcess, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    return api.client.post("/v1/jobs", content=body, headers={**JSON, **headers})


def refused(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """Return the problem, which must have one of the statuses, or any of 4xx."""
    assert answer.status_code in (statuses or range(400, 500)), f"{answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in answer.text
    assert "hunter2" not in answer.text
    body: dict[str, Any] = answer.json()
    assert body["status"] == answer.status_code
    assert len(answer.content) < 100_000
    return body


def raw(api: ApiProcess, sent: bytes, *, timeout: float = 30) -> bytes:
    """Send bytes on a new connection, and return what the server sends until it closes it."""
    with socket.create_connection(api.address, timeout=timeout) as connection:
        with suppress(OSError):  # the server has closed the connection
            connection.sendall(sent)
        received = b""
        with suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
        return received


def assert_problem(received: bytes, status: int) -> None:
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), received[:300]
    assert b"content-type: application/problem+json" in head.lower()
    assert json.loads(body)["status"] == status


# --- bodies --------------------------------------------------------------------------------------------------------


def test_a_body_of_100_mb_is_refused(hostile_api: ApiProcess) -> None:
    refused(submit(hostile_api, b'{"type": "' + b"x" * (100 * MEGABYTE)), 413)


def test_a_body_of_100_mb_that_does_not_tell_its_length_is_refused(hostile_api: ApiProcess) -> None:
    refused(submit(hostile_api, (b"x" * MEGABYTE for _ in range(100))), 413)


def test_a_declared_length_is_not_waited_for(hostile_api: ApiProcess) -> None:
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
    assert_problem(raw(hostile_api, head), 413)


@pytest.mark.parametrize("length", [b"-1", b"1e9", b"0x10", b"9" * 5000, b"1, 2", b"5\r\nContent-Length: 6"])
def test_lengths_that_are_none(hostile_api: ApiProcess, length: bytes) -> None:
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " + length
    assert_problem(raw(hostile_api, head + b"\r\n\r\n{}"), 400)


DEEP = 10_000
ECHO = b'{"type": "diagnostics.echo", "payload": {"value": %b}}'
BODIES = {
    "deep arrays": ECHO % (b"[" * DEEP + b"]" * DEEP),
    "deep objects": ECHO % (b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "deep and never closed": b"[" * 1_000_000,
    "NUL in a value": ECHO % b'"a\\u0000b"',
    "NUL in a payload's name": ECHO % b'{"a\\u0000b": 1}',
    "NUL in a tag": b'{"type": "diagnostics.echo", "payload": {}, "tags": {"a\\u0000": "b"}}',
    "NUL in a unique key": b'{"type": "diagnostics.echo", "payload": {}, "unique_key": "\\u0000"}',
    "NUL in a queue": b'{"type": "diagnostics.echo", "payload": {}, "queue": "\\u0000"}',
    "NUL in a type": b'{"type": "\\u0000", "payload": {}}',
    "a NUL byte": ECHO % b'"\0"',
    "1e400": ECHO % b"1e400",
    "-1e400": ECHO % b'{"a": [-1e400]}',
    "NaN": ECHO % b"NaN",
    "Infinity": ECHO % b"[Infinity]",
    "a long integer": ECHO % (b"9" * 5000),
    "a long integer in an option": b'{"type": "diagnostics.echo", "payload": {}, "priority": %b}' % (b"9" * 5000),
    "an infinite option": b'{"type": "diagnostics.echo", "payload": {}, "delay": 1e400}',
    "invalid UTF-8": ECHO % b'"\xff\xfe"',
    "overlong UTF-8": ECHO % b'"\xc0\x80"',
    "UTF-16": '{"type": "diagnostics.echo"}'.encode("utf-16"),
    "half a surrogate pair": ECHO % b'"\\ud800"',
    "half a surrogate pair in a name": ECHO % b'{"\\udfff": 1}',
    "half a surrogate pair in a tag": b'{"type": "diagnostics.echo", "payload": {}, "tags": {"a": "\\ud800"}}',
    "nothing": b"",
    "a second document": ECHO % b"1" + b"{}",
    "no object": b"[]",
    "gzip": gzip.compress(ECHO % b"1"),
    "100,000 unknown fields": b"{" + b",".join(b'"f%d": 0' % n for n in range(100_000)) + b"}",
    "a time that is none": b'{"type": "diagnostics.echo", "payload": {}, "scheduled_at": "9999999-01-01T00:00:00Z"}',
    "a time beyond all": b'{"type": "diagnostics.echo", "payload": {}, "scheduled_at": 1e300}',
    "a long type": b'{"type": "%b", "payload": {}}' % (b"x" * 100_000),
    "100,000 tags": b'{"type": "diagnostics.echo", "payload": {}, "tags": {%b}}'
    % b",".join(b'"t%d": "x"' % n for n in range(100_000)),
    "a secret": b'{"type": "diagnostics.echo", "payload": {}, "pass": "hunter2"}',
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_are_no_job(hostile_api: ApiProcess, name: str) -> None:
    refused(submit(hostile_api, BODIES[name]), 400, 413, 422)


@pytest.mark.parametrize("name", BODIES)
def test_the_same_in_a_batch_and_as_a_payload(hostile_api: ApiProcess, name: str) -> None:
    refused(hostile_api.client.post("/v1/jobs/batch", content=b'{"jobs": [%b]}' % BODIES[name], headers=JSON))
    as_payload = hostile_api.client.post("/v1/run/diagnostics.nothing", content=BODIES[name], headers=JSON)
    refused(as_payload)


def test_of_a_name_that_is_given_twice_the_last_one_counts(hostile_api: ApiProcess) -> None:
    answer = submit(hostile_api, ECHO % b'{"a": 1, "a": 2}')
    assert answer.status_code == 202
    shown = hostile_api.client.get(f"/v1/jobs/{answer.json()['id']}?include=payload").json()
    assert shown["payload"] == {"value": {"a": 2}}


@pytest.mark.parametrize(
    "media_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/xml", "json", "a" * 10_000]
)
def test_other_media_types(hostile_api: ApiProcess, media_type: str) -> None:
    answer = hostile_api.client.post("/v1/jobs", content=ECHO % b"1", headers={"Content-Type": media_type})
    refused(answer, 415)


# --- slow clients --------------------------------------------------------------------------------------------------

HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
UPLOAD = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\n"


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        (b"", None),
        (b"\r\n", 408),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ", 408),
        (HEAD, 408),
        (
            UPLOAD + b'Content-Length: 9999999\r\n\r\n--B\r\nContent-Disposition: form-data; name="file"; filename="a"',
            408,
        ),
    ],
)
def test_who_sends_a_request_byte_by_byte_is_sent_away(
    hostile_api: ApiProcess, begin: bytes, status: int | None
) -> None:
    with socket.create_connection(hostile_api.address, timeout=20) as connection:
        connection.sendall(begin)
        done = threading.Event()

        def trickle() -> None:
            while begin and not done.wait(0.1):
                try:
                    connection.sendall(b"\r\n" if begin == b"\r\n" else b"x")
                except OSError:
                    return

        sender = threading.Thread(target=trickle)
        sender.start()
        received = b""
        with suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
        done.set()
        sender.join()
        if status is None:
            assert received == b""
        else:
            assert_problem(received, status)


def test_who_has_an_answer_and_still_sends_is_sent_away(hostile_api: ApiProcess) -> None:
    with socket.create_connection(hostile_api.address, timeout=20) as connection:
        connection.sendall(HEAD.replace(b"application/json", b"text/plain"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 415 ")
        with pytest.raises(ConnectionError):
            until(lambda: connection.sendall(b"x"), what="the server closes the connection", every=0.05)


def test_a_slow_answer_is_not_the_clients_fault(hostile_api: ApiProcess) -> None:
    # Longer than the receive timeout.
    answer = hostile_api.client.post("/v1/jobs", content=ECHO % b"1", headers={**JSON, "Prefer": "wait=3"})
    assert answer.status_code == 202


# --- HTTP ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    [
        b"X-Long: " + b"x" * 10_000_000 + b"\r\n",
        b"".join(b"X-%d: y\r\n" % number for number in range(100_000)),
        b"x" * 1_000_000 + b": y\r\n",
        b"X-A: 1\r\n" * 9_000,
    ],
)
def test_floods_of_headers(hostile_api: ApiProcess, head: bytes) -> None:
    received = raw(hostile_api, b"GET /livez HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
    # A client that sends megabytes more may see the connection reset before the response.
    assert not received or received.startswith(b"HTTP/1.1 431 ")
    if len(head) < 100_000:
        assert_problem(received, 431)


@pytest.mark.parametrize("length", [70_000, 10_000_000])
def test_long_addresses(hostile_api: ApiProcess, length: int) -> None:
    received = raw(hostile_api, b"GET /livez?" + b"x" * length + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not received or received.startswith(b"HTTP/1.1 431 ")
    if length < 100_000:
        assert_problem(received, 431)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GE\0T /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /li\xffvez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX A: b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD.replace(b"Content-Length: 100000", b"Transfer-Encoding: chunked") + b"zz\r\n",
        b"\0" * 1000,
    ],
)
def test_what_is_not_http(hostile_api: ApiProcess, sent: bytes) -> None:
    assert_problem(raw(hostile_api, sent), 400)


def test_pipelined_requests_are_answered_in_their_order(hostile_api: ApiProcess) -> None:
    sent = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n" * 500
    received = raw(hostile_api, sent + b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", received)
    assert statuses == [b"200", b"404"] * 500 + [b"200"]


def test_an_upgrade_is_not_taken_up(hostile_api: ApiProcess) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    refused(hostile_api.client.get("/v1/none", headers=upgrade), 404)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "PUT"])
def test_other_methods(hostile_api: ApiProcess, method: str) -> None:
    received = raw(hostile_api, b"%b /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % method.encode())
    assert received.startswith((b"HTTP/1.1 405 ", b"HTTP/1.1 400 "))
    assert b"application/problem+json" in received


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Idempotency-Key", b"x" * 60_000),
        (b"Idempotency-Key", b"\xff\xfe"),
        (b"Prefer", b"wait=" + b"9" * 5000),
        (b"Prefer", b"wait=1e400"),
        (b"Prefer", b'wait="' * 5000),
        (b"Prefer", b"wait=1," * 5000),
        (b"X-Request-ID", b"a" * 60_000),
        (b"Cookie", b"a=b;" * 10_000),
        (b"X-Forwarded-For", b"1.2.3.4," * 6000),
        (b"Forwarded", b"for=\xff"),
        (b"traceparent", b"00-" + b"z" * 5000),
    ],
)
def test_headers_of_submissions(hostile_api: ApiProcess, name: bytes, value: bytes) -> None:
    headers = [(b"Content-Type", b"application/json"), (name, value)]
    answer = hostile_api.client.post("/v1/jobs", content=ECHO % b"1", headers=headers)
    if answer.status_code != 202:
        refused(answer, 400, 403, 422)


# --- addresses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/%00",
        f"/v1/jobs/{NOBODY}%00",
        "/v1/jobs/" + "%00" * 36,
        "/v1/jobs/" + "\N{FULLWIDTH DIGIT ONE}" * 36,
        "/v1/jobs/..%2f..%2fetc%2fpasswd",
        "/v1/jobs/" + "a" * 10_000,
        "/v1/jobs/%ff%fe",
        f"/v1/jobs/{{{NOBODY}}}",
        "/v1/files/%00",
        "/v1/files/..%2f..%2f..%2fetc%2fpasswd",
        "/v1/files/" + "/" * 36,
        "/v1/job-types/%00",
        "/v1/job-types/" + "x" * 10_000,
        "/problems/%00",
        "/problems/../../etc/passwd",
        "/v1//jobs",
        "/assets/..%2f..%2f..%2fetc%2fpasswd",
        "/docs/..%2f..%2fapp.py",
        "/%2e%2e/%2e%2e/etc/passwd",
    ],
)
def test_paths(hostile_api: ApiProcess, path: str) -> None:
    refused(hostile_api.client.get(path), 404, 422)


FILTERS = [
    "type=%00", "queue=%00", "owner=%00", "tag=%00:a", "tag=a:%00", "tag=:", "tag=" + "x" * 5000, "status=none",
    "page_size=0", "page_size=501", "page_size=" + "9" * 5000, "page_size=1e3", "page_size=NaN", "page_size=%00",
    "created_after=NaN", "created_after=" + "9" * 400, "created_after=-99999-01-01T00:00:00Z", "created_after=%00",
    "created_before=0000-00-00T00:00:00Z", "parent_id=x", "parent_id=%00", "parent_id=" + "1" * 5000, "page_token=%00",
    "page_token=" + "A" * 5000, "page_token=AAAA", "page_token=%F0%9F%92%A9", "page_token=====", "page_token=../..",
    "page_token=AAAAAAAAAAAAAAAAAAAAAAAAAAA",
]  # fmt: skip


@pytest.mark.parametrize("query", FILTERS)
def test_filters_and_page_tokens(hostile_api: ApiProcess, query: str) -> None:
    refused(hostile_api.client.get(f"/v1/jobs?{query}"), 422)
    if not query.startswith("page"):
        refused(hostile_api.client.get(f"/v1/jobs/stream?{query}"), 422)


def test_a_page_token_cut_off_or_changed_anywhere_is_refused(hostile_api: ApiProcess) -> None:
    token = hostile_api.client.get("/v1/jobs?page_size=1").json()["next_page_token"]
    for index in range(len(token)):
        refused(hostile_api.client.get("/v1/jobs", params={"page_token": token[:index] or "A"}), 422)
        other = "A" if token[index] != "A" else "Q"
        changed = token[:index] + other + token[index + 1 :]
        refused(hostile_api.client.get("/v1/jobs", params={"page_token": changed}), 422)


@pytest.mark.parametrize("query", ["a=1&" * 10_000, "type=a&" * 5000, "status=queued&" * 4000, "%00=1&" * 5000])
def test_floods_of_parameters(hostile_api: ApiProcess, query: str) -> None:
    answer = hostile_api.client.get("/v1/jobs?" + query)
    if answer.status_code != 200:
        refused(answer, 400, 422)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("If-None-Match", ", ".join(f'"{number}"' for number in range(7_000))),
        ("If-None-Match", '"' * 60_000),
        ("If-None-Match", "W/" * 30_000),
        ("Accept", "text/event-stream;q=0," * 2500),
        ("Accept", "*" * 60_000),
    ],
)
def test_floods_within_a_header(hostile_api: ApiProcess, name: str, value: str) -> None:
    made = submit(hostile_api, ECHO % b"1").json()
    begun = time.monotonic()
    answer = hostile_api.client.get(f"/v1/jobs/{made['id']}", headers={name: value})
    assert answer.status_code == 200
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "last_id",
    ["x", "1-2-3-4", "-1", "1" * 5000, "9" * 18, "\xff", "1-0-0-0-0-0", "1763800000000-1:1:" + "1," * 9000, "' OR 1=1"],
)
def test_ids_to_resume_a_stream_at(hostile_api: ApiProcess, last_id: str) -> None:
    made = submit(hostile_api, ECHO % b"1").json()
    headers = [(b"Accept", b"text/event-stream"), (b"Last-Event-ID", last_id.encode("latin-1"))]
    refused(hostile_api.client.get(f"/v1/jobs/{made['id']}/events", headers=headers), 422)
    refused(hostile_api.client.get("/v1/jobs/stream", headers=headers), 422)


# --- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "..\\..\\windows\\system32",
        "C:\\boot.ini",
        "a\r\nSet-Cookie: x=y",
        "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe",
        "CON",
        "nul.txt",
        "x" * 5000,
        "a\0b",
        "..",
        ".",
        " ",
        '"; filename="b',
        "\N{PILE OF POO}" * 1000,
    ],
)
def test_names_of_files(hostile_api: ApiProcess, name: str, tmp_path: Path) -> None:
    shown = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A").encode()
    part = b'--B\r\nContent-Disposition: form-data; name="file"; filename="' + shown + b'"\r\n\r\nabc\r\n--B--\r\n'
    answer = hostile_api.client.post("/v1/files", content=part, headers=FORM)
    if answer.status_code != 201:
        refused(answer, 400, 413, 422)
        return
    stored = answer.json()["name"]
    assert stored
    assert not set(stored) & set("/\\\0\r\n\N{RIGHT-TO-LEFT OVERRIDE}")
    assert stored not in {".", ".."}
    assert len(stored.encode()) <= 255
    download = hostile_api.client.get(answer.headers["location"])
    assert download.content == b"abc"
    assert "set-cookie" not in download.headers


FIELD = b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
FORMS = {
    "10,000 parts": (b"--B\r\n" + FIELD + b"x\r\n") * 10_000 + b"--B--\r\n",
    "endless headers": b"--B\r\n" + b"X-A: b\r\n" * 500_000,
    "an endless header": b"--B\r\nX-A: " + b"b" * 5_000_000,
    "an endless name": b"--B\r\n" + b"b" * 5_000_000,
    "no boundary in the body": b"x" * 5_000_000,
    "another boundary": b"--C\r\n" + FIELD + b"x\r\n--C--\r\n",
    "no end": b"--B\r\n" + FIELD + b"x",
    "no part": b"--B--\r\n",
    "nothing": b"",
    "a NUL in the header": b'--B\r\nContent-Disposition: form-data; name="file"; filename="\0"\0\r\n\r\nx\r\n--B--\r\n',
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_forms_that_hold_no_file(hostile_api: ApiProcess, name: str) -> None:
    answer = hostile_api.client.post("/v1/files", content=FORMS[name], headers=FORM)
    if answer.status_code != 201 or name != "a NUL in the header":
        refused(answer, 400, 413, 422)


@pytest.mark.parametrize(
    "media_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 50_000, "x"],
)
def test_forms_without_a_boundary(hostile_api: ApiProcess, media_type: str) -> None:
    answer = hostile_api.client.post("/v1/files", content=FORMS["no end"], headers={"Content-Type": media_type})
    refused(answer, 400, 413, 415, 422)


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=" + ",".join(f"{number}-{number}" for number in range(5000)),
        "bytes=" + "9" * 5000 + "-",
        "bytes=-" + "9" * 5000,
        "bytes=5-",
        "bytes=\xff",
        "bytes=--1",
        "lines=1-2",
    ],
)
def test_ranges(hostile_api: ApiProcess, wanted: str) -> None:
    made = hostile_api.client.post("/v1/files", files={"file": ("a", b"abc")})
    answer = hostile_api.client.get(made.headers["location"], headers=[(b"Range", wanted.encode("latin-1"))])
    if answer.status_code in {200, 206}:  # what is no range is none that was asked for (RFC 9110, 14.2)
        assert answer.content == b"abc"
    else:
        refused(answer, 416)
