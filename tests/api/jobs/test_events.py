from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import event as hook

from callboard.api.openapi import models
from callboard.db.attempt.progress import ProgressReport, report_progress
from callboard.db.rules.attempts import AttemptId
from callboard.db.rules.ids import new_id
from callboard.db.rules.outcome import Outcome
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.transitions import cancel, erase
from tests.support.factory import OUTCOMES, Factory
from tests.support.serving import Served
from tests.support.sse import Reader, reading
from tests.support.until import until

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]
Serve = Callable[..., Served]


def path(job_id: object) -> str:
    return f"/v1/jobs/{job_id}/events"


def report(database: Database, job_id: UUID, *seqs: int, attempt: int = 1) -> None:
    for seq in seqs:
        with database.begin() as connection:
            report_progress(
                connection, [ProgressReport(AttemptId(job_id, attempt), seq, float(seq), 4.0, "step", "message")]
            )


def types(items: list[dict[str, Any]]) -> list[str]:
    return [item["type"] for item in items]


def finished(factory: Factory, database: Database) -> UUID:
    """Make a job with a released attempt, progress, a request to cancel and an end: 9 events."""
    job_id = factory.submit()
    factory.end(factory.claim(job_id, 1), Outcome.release())
    claimed = factory.claim(job_id, 2)
    report(database, job_id, 1, 2, attempt=2)
    with database.begin() as connection:
        cancel(connection, job_id)
    report(database, job_id, 3, attempt=2)
    factory.end(claimed, OUTCOMES[Status.CANCELLED])
    return job_id


ALL = [
    "submitted", "started", "released", "started", "progress", "progress", "cancel_requested", "progress", "finished",
]  # fmt: skip


def test_what_happened_is_listed_oldest_first(api: Served, factory: Factory, database: Database) -> None:
    body = api.get(path(finished(factory, database)))
    assert types(body["items"]) == ALL
    assert body["next_page_token"] is None
    for item in body["items"]:
        models.Event.model_validate(item)
    progress, end = body["items"][4], body["items"][-1]
    assert progress["progress"] == {
        "percent": 25.0, "current": 1.0, "total": 4.0, "step": "step", "message": "message",
        "updated_at": progress["at"],
    }  # fmt: skip
    assert progress["at"].endswith("Z")
    assert len(progress["at"]) == 24
    assert (end["status"], end["error"]["reason"]) == ("cancelled", "cancelled")


@pytest.mark.parametrize("size", [1, 4, 8, 9])
def test_pages_follow_each_other(api: Served, factory: Factory, database: Database, size: int) -> None:
    job_id = finished(factory, database)
    items: list[dict[str, Any]] = []
    token: str | None = ""
    while token is not None:
        body = api.get(path(job_id), page_size=size, **({"page_token": token} if token else {}))
        assert 0 < len(body["items"]) <= size
        items += body["items"]
        token = body["next_page_token"]
    assert items == api.get(path(job_id))["items"]


def test_what_is_not_a_position_is_refused(api: Served, factory: Factory, as_problem: AsProblem) -> None:
    job_id = factory.submit()
    refused = api.client.get(path(job_id), params={"page_token": "1.2"})
    assert as_problem(refused, 422, "invalid-input")["errors"][0]["pointer"] == "/query/page_token"
    with reading(api.client, path(job_id), last_id="x") as reader:
        problem = as_problem(reader.answer, 422, "invalid-input")
        assert problem["errors"][0]["pointer"] == "/headers/Last-Event-ID"


def test_a_job_that_is_not_yours_has_no_events(
    api: Served, factory: Factory, database: Database, as_problem: AsProblem
) -> None:
    mine, erased = factory.submit(owner="ann"), factory.in_state(Status.SUCCEEDED)
    with database.begin() as connection:
        assert erase(connection, erased)
    assert api.client.get(path(mine), headers={"x-role": "client", "x-owner": "ann"}).status_code == 200
    for job_id, role in ((mine, "client"), (erased, "admin"), (new_id(), "admin"), ("x", "admin")):
        as_problem(api.client.get(path(job_id), headers={"x-role": role}), 404, "not-found")
        with reading(api.client, path(job_id), **{"x-role": role}) as reader:
            as_problem(reader.answer, 404, "not-found")


def test_a_stream_tells_everything_and_ends_with_the_job(api: Served, factory: Factory, database: Database) -> None:
    job_id = factory.submit()
    with reading(api.client, path(job_id)) as reader:
        sent = reader.next()
        claimed = factory.claim(job_id)
        sent += reader.next()
        report(database, job_id, 1)
        sent += reader.next()
        with database.begin() as connection:
            cancel(connection, job_id)
        sent += reader.next()
        report(database, job_id, 2)
        sent += reader.next()
        factory.end(claimed, OUTCOMES[Status.SUCCEEDED])
        sent += list(reader)
    assert [event.data for event in sent] == api.get(path(job_id))["items"]
    assert [event.kind for event in sent] == types(api.get(path(job_id))["items"])
    assert sent[-1].kind == "finished"


def test_a_stream_that_breaks_anywhere_goes_on_without_gap_or_repeat(
    api: Served, factory: Factory, database: Database
) -> None:
    job_id = finished(factory, database)
    items = api.get(path(job_id))["items"]
    for seen in range(len(items)):
        with reading(api.client, path(job_id)) as reader:
            reader.next(seen)
            last_id = reader.last_id
        with reading(api.client, path(job_id), last_id=last_id) as reader:
            assert [event.data for event in reader] == items[seen:]
    with reading(api.client, path(job_id), last_id=items[-1]["id"]) as reader:
        assert reader.answer.status_code == 204


def test_a_stream_goes_on_after_a_restart_of_the_server(serve: Serve, factory: Factory, database: Database) -> None:
    job_id = factory.submit()
    claimed = factory.claim(job_id)
    first = serve()
    with reading(first.client, path(job_id)) as reader:
        report(database, job_id, 1, 2)
        sent = reader.next(4)
        first.server.should_exit = True
        assert list(reader) == []
    report(database, job_id, 3)
    second = serve()
    with reading(second.client, path(job_id), last_id=reader.last_id) as reader:
        sent += reader.next()
        factory.end(claimed, OUTCOMES[Status.SUCCEEDED])
        sent += list(reader)
    assert [event.data for event in sent] == second.get(path(job_id))["items"]


def test_a_job_with_more_events_than_a_page_is_told_whole(api: Served, factory: Factory, database: Database) -> None:
    job_id = factory.submit()
    claimed = factory.claim(job_id)
    report(database, job_id, *range(1, 520))
    with reading(api.client, path(job_id)) as reader:
        sent = reader.next(521)
        factory.end(claimed, OUTCOMES[Status.SUCCEEDED])
        sent += list(reader)
    assert [event.data["progress"]["current"] for event in sent if event.kind == "progress"] == list(range(1, 520))


def test_an_erased_job_ends_its_streams(api: Served, factory: Factory, database: Database) -> None:
    job_id = factory.submit()
    with reading(api.client, path(job_id)) as reader:
        reader.next()
        with database.begin() as connection:
            cancel(connection, job_id)
            assert erase(connection, job_id)
        assert list(reader) == []


def test_a_quiet_stream_sends_comments(serve: Serve, factory: Factory) -> None:
    api = serve(stream_heartbeat=0.05)
    with reading(api.client, path(factory.submit())) as reader:
        reader.next()
        for _ in range(3):
            reader.comment()


def test_queries_do_not_grow_with_subscribers(
    serve: Serve, settings: Settings, factory: Factory, database: Database
) -> None:
    with ExitStack() as stack:
        used = Database(settings, role="api")
        stack.callback(used.close)
        count = 0

        def executed(*_: object) -> None:
            nonlocal count
            count += 1

        hook.listen(used._engine, "after_cursor_execute", executed)
        api = serve(used)
        claimed = [factory.claim(factory.submit()) for _ in range(20)]
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        client = stack.enter_context(httpx.Client(base_url=api.url, timeout=60, limits=limits))
        readers: list[Reader] = [
            stack.enter_context(reading(client, path(claimed[index % 20].id))) for index in range(200)
        ]
        for reader in readers:
            reader.next(2)
        before, begun = count, time.monotonic()
        until(lambda: count > before and time.monotonic() - begun >= 2.0, what="two seconds with a poll", every=0.1)
        polls = (time.monotonic() - begun) / 0.1
        assert count - before <= polls + 1
        for job in claimed:
            factory.end(job, OUTCOMES[Status.SUCCEEDED])
        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(lambda reader: [event.kind for event in reader] == ["finished"], readers))
        before = count
        threading.Event().wait(1.0)
        assert count - before <= 1, "no followers, no polls"
