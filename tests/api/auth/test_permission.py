"""Responses that last: they end when their caller's key is revoked, expires, or has another role."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import Request
from sqlalchemy import select, update
from starlette.applications import Starlette

from callboard.api.auth.caller import Caller
from callboard.api.auth.permission import Permission
from callboard.api.authenticator import Authenticator
from callboard.api.errors import Forbidden, Unauthenticated
from callboard.db.access.keys import revoke_key
from callboard.db.errors import Unavailable
from callboard.db.models import api_keys, files
from callboard.db.rules.roles import Role
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from tests.support.factory import Factory
from tests.support.keys import bearer, make_key
from tests.support.serving import Served
from tests.support.sse import reading
from tests.support.until import until

Serve = Callable[..., Served]
AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]
End = Callable[[Database, str], None]


@pytest.fixture
def client(serve: Serve) -> httpx.Client:
    """Of a server that looks often."""
    return serve(authenticate=Authenticator(local=True), stream_heartbeat=0.2).client


def revoked(database: Database, key: str) -> None:
    with database.begin() as connection:
        revoke_key(connection, key.split("_")[2])


def demoted(database: Database, key: str) -> None:
    with database.begin() as connection:
        changed = update(api_keys).where(api_keys.c.key_id == key.split("_")[2]).values(role=Role.CLIENT)
        connection.execute(changed)


@pytest.mark.parametrize("end", [revoked, demoted])
@pytest.mark.parametrize("path", ["/v1/jobs/stream", "/v1/jobs/stream?owner=nobody", "/v1/jobs/{}/events"])
def test_a_stream_ends_with_its_key(
    client: httpx.Client, database: Database, factory: Factory, end: End, path: str
) -> None:
    key = make_key(database, "vera", Role.VIEWER)
    job_id = factory.in_state(Status.SCHEDULED, owner="ann")

    with reading(client, path.format(job_id), **bearer(key)) as reader:
        reader.comment()
        end(database, key)
        # Until the end of the stream, which the client's timeout waits for.
        assert [sent for sent in reader if sent.kind == "job"] == []


def test_a_stream_ends_when_its_key_expires(client: httpx.Client, database: Database) -> None:
    key = make_key(database, lifetime=timedelta(seconds=3))

    with reading(client, "/v1/jobs/stream", **bearer(key)) as reader:
        assert list(reader) == []


def test_a_stream_of_the_open_server_ends_with_the_first_key(client: httpx.Client, database: Database) -> None:
    with reading(client, "/v1/jobs/stream") as reader:
        reader.comment()
        make_key(database)
        assert list(reader) == []


def test_the_stream_of_a_valid_key_goes_on(client: httpx.Client, database: Database, factory: Factory) -> None:
    key, other = make_key(database), make_key(database)

    with reading(client, "/v1/jobs/stream", **bearer(key)) as reader:
        reader.settle()
        revoked(database, other)
        for _ in range(20):
            reader.comment()
        job_id = factory.submit(owner="ann")
        assert reader.next()[0].data["id"] == str(job_id)


def test_a_wait_ends_without_the_job_when_the_key_was_revoked(
    client: httpx.Client, database: Database, factory: Factory, as_problem: AsProblem
) -> None:
    key = make_key(database)
    job_id = factory.in_state(Status.SCHEDULED, owner="ann")
    path, headers = f"/v1/jobs/{job_id}", bearer(key)
    assert client.get(path, headers=headers).status_code == 200
    answers: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: answers.append(client.get(path, params={"wait": 8}, headers=headers)))
    waiting.start()

    revoked(database, key)

    waiting.join()
    as_problem(answers[0], 401, "unauthenticated")


def test_an_upload_is_not_taken_when_the_key_was_revoked_meanwhile(
    client: httpx.Client, database: Database, as_problem: AsProblem
) -> None:
    key = make_key(database)
    headers = {**bearer(key), "Content-Type": "multipart/form-data; boundary=B"}

    def body() -> Iterator[bytes]:
        yield b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n01'
        revoked(database, key)
        until(lambda: client.get("/v1/jobs", headers=bearer(key)).status_code == 401, what="the key opens nothing")
        yield b"23\r\n--B--\r\n"

    assert client.get("/v1/jobs", headers=bearer(key)).status_code == 200
    as_problem(client.post("/v1/files", content=body(), headers=headers), 401, "unauthenticated")

    with database.begin() as connection:
        assert connection.execute(select(files)).all() == []


def request_of(answers: list[Caller | Exception]) -> Request:
    """A request whose caller is the next of these each time; the last one stays."""

    async def authenticate(_: Request) -> Caller:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    app = Starlette()
    app.state.authenticate = authenticate
    return Request({"type": "http", "app": app})


ANN = Caller("ann", Role.CLIENT)


@pytest.mark.parametrize(
    "now",
    [
        Unauthenticated.with_wrong_credentials("revoked"),
        Forbidden("no role"),
        Caller("ann", Role.VIEWER),
        Caller("bob", Role.CLIENT),
    ],
    ids=str,
)
def test_an_export_or_download_breaks_off(now: Caller | Exception) -> None:
    async def main() -> None:
        permission = Permission(request_of([ANN, now]), ANN, every=0.0)
        await permission.require()
        with pytest.raises(Forbidden):
            await permission.require()

    asyncio.run(main())


def test_while_nobody_can_tell_it_goes_on() -> None:
    async def main() -> None:
        permission = Permission(request_of([Unavailable("away")]), ANN, every=0.0)
        for _ in range(3):
            await permission.require()

    asyncio.run(main())


def test_it_is_looked_at_now_and_then_only() -> None:
    async def main() -> None:
        permission = Permission(request_of([Forbidden("never asked")]), ANN, every=60.0)
        for _ in range(3):
            await permission.require()

    asyncio.run(main())
