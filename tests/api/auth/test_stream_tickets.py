"""Tickets for live streams: what they open, for how long, and who may have them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import Request

from callboard.api.auth.caller import Caller
from callboard.api.auth.stream_tickets import LIFETIME, LONGEST_STREAM, StreamTickets
from callboard.api.authenticator import Authenticator
from callboard.api.errors import Unauthenticated
from callboard.db.access.keys import revoke_key
from callboard.db.rules.key_text import KeyText
from callboard.db.rules.roles import Role
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from tests.api.conftest import Serve
from tests.support.factory import Factory
from tests.support.keys import bearer, make_key
from tests.support.serving import Served
from tests.support.sse import reading
from tests.support.until import until

Problem = Callable[[httpx.Response, int, str], dict[str, Any]]


@pytest.fixture
def api(serve: Serve) -> Served:
    return serve(authenticate=Authenticator(local=False))


def ask(api: Served, key: str, url: str) -> httpx.Response:
    return api.client.post("/v1/stream-tickets", json={"url": url}, headers=bearer(key))


def ticket_for(api: Served, key: str, url: str) -> str:
    answer = ask(api, key, url)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return f"{url}{'&' if '?' in url else '?'}ticket={answer.json()['ticket']}"


@pytest.mark.parametrize("role", list(Role))
def test_every_role_opens_its_stream_of_jobs(api: Served, database: Database, role: Role) -> None:
    key = make_key(database, "ann", role)
    url = ticket_for(api, key, "/v1/jobs/stream?type=test.job&tag=a:b")
    for _ in range(2):  # as a browser comes back
        with reading(api.client, url) as reader:
            reader.settle()
            if role is not Role.VIEWER:
                body = {"type": "test.job", "payload": 1, "tags": {"a": "b"}}
                job = api.client.post("/v1/jobs", json=body, headers=bearer(key)).json()
                assert reader.next()[0].data["id"] == job["id"]


def test_it_shows_no_more_than_its_maker_sees(
    api: Served, database: Database, factory: Factory, as_problem: Problem
) -> None:
    job_id = factory.in_state(Status.SUCCEEDED, owner="ann")
    path = f"/v1/jobs/{job_id}/events"
    with reading(api.client, ticket_for(api, make_key(database, "ann"), path)) as reader:
        assert next(iter(reader)).kind == "submitted"
    as_problem(api.client.get(ticket_for(api, make_key(database, "ben"), path)), 404, "not-found")


def test_it_opens_that_stream_alone(api: Served, database: Database, factory: Factory, as_problem: Problem) -> None:
    key = make_key(database, "ann", Role.ADMIN)
    job_id, other = factory.in_state(Status.SUCCEEDED), factory.in_state(Status.SUCCEEDED)
    url = ticket_for(api, key, f"/v1/jobs/{job_id}/events?page_size=5")
    query = urlsplit(url).query
    ticket = query.partition("ticket=")[2]
    assert api.client.get(url).status_code == 200
    for stolen in (
        f"/v1/jobs/{other}/events?{query}",
        f"/v1/jobs/stream?{query.replace('page_size=5&', '')}",
        f"/v1/jobs/{job_id}/events?ticket={ticket}",
        f"{url}&last_event_id=1.0.0.0",
        f"{url[:-1]}{'A' if url[-1] != 'A' else 'B'}",
        f"/v1/jobs/{job_id}/events?page_size=5&ticket=",
        f"/v1/jobs/{job_id}/events?page_size=5&ticket=cbs_.",
        f"/v1/jobs/{job_id}/events?page_size=5&ticket={'%C3%A9' * 9}",
    ):
        answer = api.client.get(stolen)
        as_problem(answer, 401, "unauthenticated")
        assert ticket not in answer.text
    for path in (f"/v1/jobs/{job_id}", "/v1/jobs", f"/v1/jobs/{job_id}/result", "/v1/queues", "/v1/history/export"):
        as_problem(api.client.get(f"{path}?ticket={ticket}"), 422, "invalid-input")
    assert api.client.post(f"/v1/jobs/{job_id}/cancel?ticket={ticket}").status_code == 422


@pytest.mark.parametrize(
    ("url", "pointer"),
    [
        ("/v1/jobs", "/url"),
        ("/v1/jobs/x/events", "/url"),
        ("https://a.example/v1/jobs/stream", "/url"),
        ("//a.example/v1/jobs/stream", "/url"),
        ("/v1/jobs/stream\n", "/url"),
        ("/v1/jobs/stream?stauts=failed", "/query/stauts"),
    ],
)
def test_there_are_tickets_for_streams_only(
    api: Served, database: Database, as_problem: Problem, url: str, pointer: str
) -> None:
    body = as_problem(ask(api, make_key(database, "ann"), url), 422, "invalid-input")
    assert [error["pointer"] for error in body["errors"]] == [pointer]


def test_nobody_gets_one_without_a_key_or_for_another_ticket(
    api: Served, database: Database, as_problem: Problem
) -> None:
    body = {"url": "/v1/jobs/stream"}
    as_problem(api.client.post("/v1/stream-tickets", json=body), 401, "unauthenticated")
    query = urlsplit(ticket_for(api, make_key(database, "ann"), "/v1/jobs/stream")).query
    as_problem(api.client.post(f"/v1/stream-tickets?{query}", json=body), 422, "invalid-input")


def test_it_ends_with_the_key_that_made_it(api: Served, database: Database, as_problem: Problem) -> None:
    key = make_key(database, "ann")
    url = ticket_for(api, key, "/v1/jobs/stream")
    text = KeyText.parse(key)
    assert text is not None
    with database.begin() as connection:
        revoke_key(connection, text.key_id)
    until(lambda: api.client.head(url).status_code == 401, what="the key ring has been read anew", every=0.2)


def test_it_is_never_logged(api: Served, database: Database, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        url = ticket_for(api, make_key(database, "ann"), "/v1/jobs/stream")
        api.client.head(url)
        api.client.head(url[:-1])
    secret = url.partition("ticket=")[2][:-1]
    # Not uvicorn's, which has no access log when it serves for real, nor httpx's.
    logged = [record for record in caplog.records if record.name.startswith("callboard")]
    assert logged
    assert not [record for record in logged if secret in str(vars(record))]


def test_the_event_to_go_on_after_may_stand_in_the_url(api: Served, database: Database, factory: Factory) -> None:
    key = make_key(database, "ann")
    path = f"/v1/jobs/{factory.in_state(Status.SUCCEEDED, owner='ann')}/events"
    with reading(api.client, ticket_for(api, key, path)) as reader:
        first, *rest = [sent.data["id"] for sent in reader]
        last = reader.last_id
    url = ticket_for(api, key, f"{path}?last_event_id={first}")
    with reading(api.client, url) as reader:
        assert [sent.data["id"] for sent in reader] == rest
    with reading(api.client, url, last_id=last) as reader:
        assert reader.answer.status_code == 204, "the header is newer"


def test_such_an_event_is_named_as_what_it_came_in(
    api: Served, database: Database, factory: Factory, as_problem: Problem
) -> None:
    key = bearer(make_key(database, "ann", Role.ADMIN))
    for path in ("/v1/jobs/stream", f"/v1/jobs/{factory.in_state(Status.SUCCEEDED)}/events"):
        in_query = as_problem(api.client.get(f"{path}?last_event_id=x", headers=key), 422, "invalid-input")
        assert in_query["errors"][0]["pointer"] == "/query/last_event_id"
        in_header = as_problem(api.client.get(path, headers={**key, "Last-Event-ID": "x"}), 422, "invalid-input")
        assert in_header["errors"][0]["pointer"] == "/headers/Last-Event-ID"


def request_of(ticket: str) -> Request:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/jobs/stream",
        "query_string": f"a=b&ticket={ticket}".encode(),
    }
    return Request({**scope, "headers": []})


def test_it_opens_its_stream_for_a_minute_which_lasts_an_hour() -> None:
    now = [1000.0]
    tickets = StreamTickets(None, clock=lambda: now[0])
    ticket, expires_at = tickets.make(Caller("ann", Role.CLIENT), "/v1/jobs/stream", "a=b")
    assert expires_at == 1000 + LIFETIME
    opened = request_of(ticket)
    assert tickets.holder(opened) is not None
    now[0] += LIFETIME
    assert tickets.holder(opened) is not None
    with pytest.raises(Unauthenticated):
        tickets.holder(request_of(ticket))
    now[0] += LONGEST_STREAM
    with pytest.raises(Unauthenticated):
        tickets.holder(opened)


def test_processes_with_one_secret_take_each_others_tickets() -> None:
    one, same, other = StreamTickets("s" * 32), StreamTickets("s" * 32), StreamTickets("t" * 32)
    ticket, _ = one.make(Caller("ann", Role.CLIENT), "/v1/jobs/stream", "a=b")
    holder = same.holder(request_of(ticket))
    assert holder is not None
    assert (holder.owner, holder.role, holder.key_id) == ("ann", Role.CLIENT, None)
    with pytest.raises(Unauthenticated, match="CALLBOARD_TICKET_SECRET"):
        other.holder(request_of(ticket))
