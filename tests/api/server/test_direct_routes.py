"""The routes that bypass FastAPI respond as FastAPI does: the same requests to an application with and without them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.types.registry import Registry
from callboard.api.app import create_app
from callboard.api.authenticator import Authenticator
from callboard.api.server.direct_routes import DirectRoutes
from callboard.db.rules.roles import Role
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.factory import Factory
from tests.support.keys import bearer, make_key
from tests.support.serving import serving

Headers = list[tuple[str, str]]

JSON = ("Content-Type", "application/json")
JOB = b'{"type": "test.job", "payload": {"n": 1}}'
NOBODYS = "019aa1f0-7c00-7000-8000-000000000000"

_VARYING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # ids of jobs
    r"|\d{4}-\d\d-\d\dT[\d:.]+Z"
)


@dataclass(frozen=True)
class Pair:
    """Two servers of one database: ``direct`` has the bypass, ``plain`` has not."""

    direct: httpx.Client
    plain: httpx.Client
    job_id: str
    """A job that ended."""
    credentials: dict[str, Headers]
    """By role; "" has none, "wrong" an unknown key."""

    def assert_equal(
        self, method: str, url: str, headers: Headers | None = None, content: bytes | None = None, role: str = "client"
    ) -> httpx.Response:
        """Send the request to both, and return the response of the direct one."""
        sent = [*self.credentials[role], *(headers or [])]
        direct, plain = (
            client.request(method, url, headers=sent, content=content) for client in (self.direct, self.plain)
        )
        assert shown(direct) == shown(plain), (method, url, headers, content)
        return direct


def shown(response: httpx.Response) -> tuple[int, Headers, str]:
    """Return status, headers and body without what differs between any two responses."""
    headers = [
        (name.lower(), _VARYING.sub("*", value))
        for name, value in response.headers.multi_items()
        if name.lower() not in {"date", "x-request-id"}
    ]
    return response.status_code, sorted(headers), _VARYING.sub("*", response.text)


@pytest.fixture
def pair(
    settings: Settings, registry: Registry, database: Database, factory: Factory, tmp_path: Path
) -> Iterator[Pair]:
    changed = settings.model_copy(update={"files_url": tmp_path.as_uri(), "max_wait": 0.1, "max_body_bytes": 2**16})
    bypass: Any = DirectRoutes
    with ExitStack() as stack:

        def serve(*, direct: bool) -> httpx.Client:
            app = create_app(changed, registry, authenticate=Authenticator(local=False))
            if not direct:
                kept = [each for each in app.user_middleware if each.cls is not bypass]
                assert len(kept) == len(app.user_middleware) - 1
                app.user_middleware = kept
            return stack.enter_context(serving(app)).client

        credentials = {role.value: list(bearer(make_key(database, "ann", role)).items()) for role in Role}
        other = make_key(database, "bob")
        credentials |= {"": [], "bob": list(bearer(other).items()), "wrong": list(bearer(other[:-1] + "x").items())}
        job_id = factory.in_state(Status.SUCCEEDED, owner="ann")
        yield Pair(serve(direct=True), serve(direct=False), str(job_id), credentials)


def test_to_every_caller(pair: Pair) -> None:
    for role in pair.credentials:
        pair.assert_equal("GET", f"/v1/jobs/{pair.job_id}", role=role)
        pair.assert_equal("GET", f"/v1/jobs/{NOBODYS}", role=role)
        pair.assert_equal("POST", "/v1/jobs", [JSON], JOB, role=role)


PATHS = (
    "{job}", "{job}/", "{JOB}", NOBODYS, "x" * 36, "x" * 35, "%30" * 36, "é" * 36, "{job}%00", "{job}%2F", "{{{job}}}",
    "..%2f..%2f{job}", "%ff" * 36, "-" * 36, "", "batch", "{job}/nothing", "{job};a=b",
)  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS", "PATCH", "BREW"])
def test_to_every_path_and_method(pair: Pair, method: str) -> None:
    for path in PATHS:
        pair.assert_equal(method, f"/v1/jobs/{path.format(job=pair.job_id, JOB=pair.job_id.upper())}")


QUERIES = (
    "wait=0", "wait=0.01", "wait=0&wait=2", "wait=x", "wait=-1", "wait=nan", "wait=1e0", "wait=", "wait", "wait=%00",
    "wait=2", "wait=%ff", "wait=%", "wait=0;include=payload", "include=payload", "include=payload&include=x",
    "include=", "include=x", "Include=payload", "nothing=1", "&&&", "=", "?", "a=b=c", "%77ait=x", "wait=+1", "wait=١",
    "include=payload#x", "async_mode=true", "async_mode=maybe", "x=" + "y" * 5000,
)  # fmt: skip


def test_to_every_query(pair: Pair) -> None:
    for query in QUERIES:
        pair.assert_equal("GET", f"/v1/jobs/{pair.job_id}?{query}")
        pair.assert_equal("POST", f"/v1/jobs?{query}", [JSON], JOB)


OF_POLLS: tuple[Headers, ...] = (
    [("If-None-Match", "*")],
    [("If-None-Match", '"x"'), ("If-None-Match", "*")],
    [("If-None-Match", "*"), ("If-None-Match", '"x"')],
    [("If-None-Match", "")],
    [("Authorization", "Bearer x")],  # a second one
    [("Authorization", "")],
    [("Accept", "text/html"), ("Accept-Encoding", "br"), ("Range", "bytes=0-1"), ("Expect", "x")],
    [("X-Request-ID", "mine"), ("X-Request-ID", "other")],
    [("Origin", "https://a.example"), ("Access-Control-Request-Method", "GET")],
    [("Cookie", "a=b"), ("Upgrade", "x"), ("X-Forwarded-For", "127.0.0.1"), ("X-HTTP-Method-Override", "DELETE")],
)


def test_to_every_header_of_a_poll(pair: Pair) -> None:
    for headers in OF_POLLS:
        pair.assert_equal("GET", f"/v1/jobs/{pair.job_id}", headers)
        pair.assert_equal("GET", f"/v1/jobs/{NOBODYS}", headers)


OF_SUBMISSIONS: tuple[Headers, ...] = (
    [],
    [("Content-Type", "text/plain")],
    [JSON, ("Content-Type", "text/plain")],
    [("Content-Type", "text/plain"), JSON],
    [("Content-Type", "application/problem+json; charset=utf-8")],
    [JSON, ("Prefer", "respond-async")],
    [JSON, ("Prefer", "wait=0"), ("Prefer", "respond-async")],
    [JSON, ("Prefer", "wait=x")],
    [JSON, ("Idempotency-Key", "a b")],
    [JSON, ("Idempotency-Key", "")],
    [JSON, ("Idempotency-Key", "x" * 256)],
    [JSON, ("Content-Encoding", "gzip")],
)


def test_to_every_header_of_a_submission(pair: Pair) -> None:
    for headers in OF_SUBMISSIONS:
        pair.assert_equal("POST", "/v1/jobs", headers, JOB)


def test_to_a_submission_that_is_sent_again(pair: Pair) -> None:
    key = [JSON, ("Idempotency-Key", "once"), ("Idempotency-Key", "never")]
    # Only the first request makes a job.
    pair.direct.post("/v1/jobs", headers=[*pair.credentials["client"], *key], content=JOB)
    assert pair.assert_equal("POST", "/v1/jobs", key, JOB).headers["idempotency-replayed"] == "true"
    assert pair.assert_equal("POST", "/v1/jobs", key, JOB + b" ").status_code == 422


BODIES = (
    b"", b"{", b"[]", b"null", b"{}", b"\xff", b"[" * 1000, b"x" * 2**17,
    b'{"type": "test.none", "payload": 1}',
    b'{"type": "test.typed", "payload": {"customer": 1, "count": -1}}',
    b'{"type": "test.job", "payload": "\\u0000"}',
    b'{"type": "test.job", "payload": 1, "more": 2}',
    b'{"type": "test.job", "payload": 1, "queue": "none"}',
    b'{"type": "test.job", "payload": 1, "parent_id": "019aa1f0-7c00-7000-8000-000000000000"}',
    b'{"type": "test.job", "payload": 1, "delay": 60, "tags": {"a": "b"}, "priority": 9}',
)  # fmt: skip


def test_to_every_body(pair: Pair) -> None:
    for body in BODIES:
        pair.assert_equal("POST", "/v1/jobs", [JSON], body)


def test_to_anything(pair: Pair) -> None:
    text = st.text(st.characters(codec="utf-8"), max_size=20)
    names = st.sampled_from(["wait", "include", "async_mode"]) | text
    queries = st.lists(st.tuples(names, st.sampled_from(["payload", "0", "true", "false"]) | text), max_size=4)
    bodies = st.binary(max_size=50) | st.sampled_from([JOB, b"{}", b'{"type": "test.job"}'])

    @given(queries, bodies)
    def equal(query: list[tuple[str, str]], body: bytes) -> None:
        encoded = "&".join(f"{quote(name)}={quote(value)}" for name, value in query)
        pair.assert_equal("GET", f"/v1/jobs/{pair.job_id}?{encoded}")
        pair.assert_equal("POST", f"/v1/jobs?{encoded}", [JSON], body)

    equal()
