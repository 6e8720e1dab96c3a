from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import event as hook

from callboard.api.openapi import models
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.transitions import AttemptId, mark_dispatched
from tests.support.api_process import api_process
from tests.support.factory import OUTCOMES, Factory
from tests.support.serving import Served
from tests.support.sse import Reader, Sent, reading

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]
Serve = Callable[..., Served]
STREAM = "/v1/jobs/stream"


def told(events: list[Sent]) -> list[tuple[UUID, str]]:
    assert all(event.kind == "job" for event in events)
    return [(UUID(event.data["id"]), event.data["status"]) for event in events]


def test_every_change_is_told_with_the_job_as_lists_show_it(api: Served, factory: Factory) -> None:
    factory.submit()
    with reading(api.client, STREAM) as reader:
        reader.settle()
        job_id = factory.submit()
        assert told(reader.next()) == [(job_id, "queued")]
        claimed = factory.claim(job_id)
        assert told(reader.next()) == [(job_id, "running")]
        factory.end(claimed, OUTCOMES[Status.SUCCEEDED])
        (end,) = reader.next()
        models.JobInList.model_validate(end.data)
        assert api.get("/v1/jobs")["items"][0] == end.data


def test_a_change_that_nobody_sees_is_not_told(api: Served, factory: Factory, database: Database) -> None:
    with reading(api.client, STREAM) as reader:
        reader.settle()
        job_id = factory.submit()
        reader.next()
        with database.begin() as connection:
            mark_dispatched(connection, [AttemptId(job_id, 1)])
        threading.Event().wait(0.4)  # so that it would be told by itself
        factory.claim(job_id)
        assert told(reader.next()) == [(job_id, "running")]


def test_a_stream_that_is_resumed_first_tells_each_changed_job_once(
    serve: Serve, factory: Factory, database: Database
) -> None:
    first = serve()
    untouched, busy = factory.submit(), factory.submit()
    with reading(first.client, STREAM) as reader:
        reader.settle()
        ended = factory.submit()
        assert told(reader.next()) == [(ended, "queued")]
        last_id = reader.last_id
        first.server.should_exit = True
        assert list(reader) == []
    factory.end(factory.claim(ended), OUTCOMES[Status.SUCCEEDED])
    factory.end(factory.claim(busy), OUTCOMES[Status.RETRYING])
    new = factory.submit()
    second = serve()
    with reading(second.client, STREAM, last_id=last_id) as reader:
        assert told(reader.next(3)) == [(busy, "retrying"), (ended, "succeeded"), (new, "queued")]
        reader.settle()
        factory.claim(untouched)
        assert told(reader.next()) == [(untouched, "running")]
        assert reader.last_id != last_id
    with reading(second.client, STREAM, last_id=reader.last_id) as reader:
        factory.claim(new)
        assert told(reader.next()) == [(new, "running")]


def test_a_stream_that_breaks_anywhere_loses_no_job(api: Served, factory: Factory) -> None:
    with reading(api.client, STREAM) as reader:
        begin = reader.settle()
    made = [factory.submit() for _ in range(600)]
    with reading(api.client, STREAM, last_id=begin) as reader:
        assert [job_id for job_id, _ in told(reader.next(300))] == made[:300]
    # The changes until the moment of its id were not all told, so it has not moved.
    assert reader.last_id in {"", begin}
    with reading(api.client, STREAM, last_id=begin) as reader:
        assert [job_id for job_id, _ in told(reader.next(600))] == made


def test_a_batch_of_more_than_a_page_is_told_whole(api: Served, factory: Factory) -> None:
    with reading(api.client, STREAM) as reader:
        reader.settle()
        made = factory.submit_all(*(factory.new_job() for _ in range(1200)))
        assert [job_id for job_id, _ in told(reader.next(1200))] == made
        following = factory.submit()
        assert told(reader.next()) == [(following, "queued")]


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("status=running&status=failed", {"status": "running"}),
        ("type=test.other", {"type": "test.other"}),
        ("queue=orders", {"queue": "orders"}),
        ("owner=bob", {"owner": "bob"}),
        ("tag=case:1&tag=region:eu", {"tags": b'{"case": "1", "region": "eu", "x": "y"}'}),
        ("created_after=2020-01-01T00:00:00Z&created_before=2100-01-01T00:00:00Z", {}),
    ],
)
def test_filters_are_those_of_the_list(api: Served, factory: Factory, query: str, chosen: dict[str, Any]) -> None:
    with reading(api.client, f"{STREAM}?{query}") as reader:
        begin = reader.settle()
        if chosen:
            factory.submit(tags=b'{"case": "1"}')
        status = Status(chosen.pop("status", "queued"))
        wanted = factory.in_state(status, **chosen)
        assert told(reader.next()) == [(wanted, status)]
    with reading(api.client, f"{STREAM}?{query}", last_id=begin) as reader:
        assert told(reader.next()) == [(wanted, status)]
    listed = api.client.get(f"/v1/jobs?{query}").json()["items"]
    assert [UUID(item["id"]) for item in listed] == [wanted]


def test_each_sees_their_own(api: Served, factory: Factory) -> None:
    ann = {"x-role": "client", "x-owner": "ann"}
    with (
        reading(api.client, STREAM, **ann) as own,
        reading(api.client, f"{STREAM}?owner=bob", **ann) as foreign,
        reading(api.client, STREAM, **{"x-role": "viewer"}) as every,
    ):
        for reader in (own, foreign, every):
            reader.settle()
        bobs, anns = factory.submit(owner="bob"), factory.submit(owner="ann")
        assert told(every.next(2)) == [(bobs, "queued"), (anns, "queued")]
        assert told(own.next()) == [(anns, "queued")]
        api.server.should_exit = True
        assert list(foreign) == []


def test_a_resumed_client_is_told_of_its_own_jobs_only(api: Served, factory: Factory) -> None:
    ann = {"x-role": "client", "x-owner": "ann"}
    with reading(api.client, STREAM, **ann) as reader:
        begin = reader.settle()
    factory.submit(owner="bob")
    anns = factory.submit(owner="ann")
    with reading(api.client, STREAM, last_id=begin, **ann) as reader:
        assert told(reader.next()) == [(anns, "queued")]


@pytest.mark.parametrize("last_id", ["x", "1-2:3", "1763800000000-99999999999:99999999999:"])
def test_foreign_ids_are_refused(api: Served, as_problem: AsProblem, last_id: str) -> None:
    with reading(api.client, STREAM, last_id=last_id) as reader:
        problem = as_problem(reader.answer, 422, "invalid-input")
        assert problem["errors"][0]["pointer"] == "/headers/Last-Event-ID"


def test_a_quiet_stream_sends_comments_and_moves_on(serve: Serve, factory: Factory) -> None:
    api = serve(stream_heartbeat=0.05)
    with reading(api.client, f"{STREAM}?type=another") as reader:
        begin = reader.settle()
        factory.submit()
        while reader.last_id == begin:
            reader.comment()


def test_a_slow_reader_is_dropped_and_others_are_not(serve: Serve, factory: Factory) -> None:
    api = serve(stream_buffer_bytes=10**6)
    with ExitStack() as stack:
        slow = stack.enter_context(socket.socket())
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(api.address)
        slow.settimeout(20)
        slow.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")
        live = api.app.state.services.live
        with reading(api.client, STREAM) as reader:
            reader.settle()
            tags = b'{"filler": "' + b"x" * 8000 + b'"}'
            for _ in range(200):  # what the kernel holds for a connection is a few megabytes
                made = factory.submit_all(*(factory.new_job(tags=tags) for _ in range(40)))
                assert [job_id for job_id, _ in told(reader.next(40))] == made
                if len(live) == 1:
                    break
            assert len(live) == 1
            received = 0
            with suppress(ConnectionResetError):
                while chunk := slow.recv(2**16):
                    received += len(chunk)
            assert 0 < received < 200 * 40 * 8000
            following = factory.submit()
            assert told(reader.next()) == [(following, "queued")]


def test_queries_do_not_grow_with_subscribers(serve: Serve, settings: Settings, factory: Factory) -> None:
    with ExitStack() as stack:
        used = Database(settings, role="api")
        stack.callback(used.close)
        count = 0

        def executed(*_: object) -> None:
            nonlocal count
            count += 1

        hook.listen(used._engine, "after_cursor_execute", executed)
        api = serve(used)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        client = stack.enter_context(httpx.Client(base_url=api.url, timeout=60, limits=limits))
        readers: list[Reader] = [
            stack.enter_context(reading(client, f"{STREAM}?tag=n:{index % 7}")) for index in range(200)
        ]
        for reader in readers:
            reader.settle()
        before, begun = count, time.monotonic()
        made = [factory.submit(tags=b'{"n": "%d"}' % index) for index in range(7)]
        for index, reader in enumerate(readers):
            assert told(reader.next()) == [(made[index % 7], "queued")]
        threading.Event().wait(1.0)
        assert 0 < count - before <= (time.monotonic() - begun) / 0.1 + 1
    # All have left.
    threading.Event().wait(0.5)
    before = count
    threading.Event().wait(1.0)
    assert count == before


def test_sigterm_ends_open_streams_and_the_process(settings: Settings, factory: Factory, tmp_path: Path) -> None:
    job_id = factory.submit(owner="local")
    with (
        api_process(settings, tmp_path) as api,
        reading(api.client, STREAM) as changes,
        reading(api.client, f"/v1/jobs/{job_id}/events") as events,
        socket.create_connection(api.address) as mute,
    ):
        mute.sendall(f"GET {STREAM} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        changes.settle()
        events.next()
        begun = time.monotonic()
        api.process.send_signal(signal.SIGTERM)
        assert list(changes) == []
        assert list(events) == []
        assert time.monotonic() - begun < 2
        assert api.process.wait(10) in (0, -signal.SIGTERM)
        assert time.monotonic() - begun < 4
