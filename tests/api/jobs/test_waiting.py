from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi import Request
from sqlalchemy import event
from starlette.types import Message

from callboard.api.live.job_waiters import JobWaiters
from callboard.db.reads.jobs import JobState
from callboard.db.rules.ids import new_id
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.sql.notify import DISPATCH_CHANNEL
from tests.support.factory import OUTCOMES, Factory
from tests.support.serving import Served
from tests.support.until import until

SUCCEEDED = OUTCOMES[Status.SUCCEEDED]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as threads:
        yield threads


@contextmanager
def announced(settings: Settings) -> Iterator[Callable[[], None]]:
    """Yield a function that returns when a job has been submitted."""
    with psycopg.connect(settings.require_database_url(), autocommit=True) as listener:
        listener.execute(f"LISTEN {DISPATCH_CHANNEL}")

        def wait() -> None:
            assert next(listener.notifies(timeout=20))

        yield wait


def waiting_for(api: Served, job_id: Any) -> None:
    """Return when a request waits for this job."""
    waiters = api.app.state.services.waiters._waiters
    until(lambda: UUID(str(job_id)) in waiters, what=f"a request waits for job {job_id}")


def only_job(api: Served) -> UUID:
    return UUID(api.get("/v1/jobs")["items"][0]["id"])


# --- POST ------------------------------------------------------------------------------------------------------------


def test_a_submission_waits_for_its_job(
    api: Served, settings: Settings, factory: Factory, threads: ThreadPoolExecutor
) -> None:
    with announced(settings) as submitted:
        body = {"type": "test.job", "payload": 1}
        answer = threads.submit(api.client.post, "/v1/jobs", json=body, headers={"prefer": "wait=20"})
        submitted()
        job_id = only_job(api)
        waiting_for(api, job_id)
        factory.end(factory.claim(job_id), SUCCEEDED)
        done = answer.result(timeout=20)
    assert done.status_code == 200
    assert done.headers["preference-applied"] == "wait=20"
    assert "retry-after" not in done.headers
    assert done.json()["status"] == "succeeded"
    assert done.json()["result"] == {"answer": 42}


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=0.2", None),
        ("respond-async", "respond-async"),
        ("wait=1", "respond-async, wait=1"),
        ("respond-async, wait=1", "respond-async, wait=1"),
        ('foo; bar, wait="1"', "respond-async, wait=1"),
        ("wait=x", None),
        ("wait=-1", None),
        ("return=minimal", None),
    ],
)
def test_a_submission_tells_what_it_preferred(api: Served, prefer: str, applied: str | None) -> None:
    answer = api.client.post("/v1/jobs", json={"type": "test.job", "payload": 1}, headers={"prefer": prefer})
    assert answer.status_code == 202
    assert answer.headers.get("preference-applied") == applied


def test_the_server_bounds_how_long_a_submission_waits(serve: Any) -> None:
    api = serve(max_wait=1.0)
    body = {"type": "test.job", "payload": 1}
    for options in ({"headers": {"prefer": "wait=999"}}, {"params": {"async_mode": "false"}}):
        answer = api.client.post("/v1/jobs", json=body, **options)
        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "respond-async, wait=1"


def test_async_mode_is_true_or_false(api: Served, as_problem: Any) -> None:
    body = {"type": "test.job", "payload": 1}
    assert api.client.post("/v1/jobs", json=body, params={"async_mode": "true"}).status_code == 202
    answer = api.client.post("/v1/jobs", json=body, params={"async_mode": "maybe"})
    assert as_problem(answer, 422, "invalid-input")["errors"][0]["pointer"] == "/query/async_mode"


# --- GET -------------------------------------------------------------------------------------------------------------


def wait_for(api: Served, threads: ThreadPoolExecutor, job_id: Any, **options: Any) -> Future[httpx.Response]:
    answer = threads.submit(api.client.get, f"/v1/jobs/{job_id}", params={"wait": "20"}, **options)
    waiting_for(api, job_id)
    return answer


def test_a_poll_waits_until_the_job_is_done(api: Served, factory: Factory, threads: ThreadPoolExecutor) -> None:
    job_id = factory.submit()
    answer = wait_for(api, threads, job_id)
    claimed = factory.claim(job_id)
    assert not answer.done()
    factory.end(claimed, SUCCEEDED)
    assert answer.result(timeout=20).json()["status"] == "succeeded"


def test_a_poll_with_an_etag_waits_until_the_job_changes(
    api: Served, factory: Factory, threads: ThreadPoolExecutor
) -> None:
    job_id = factory.submit()
    etag = api.client.get(f"/v1/jobs/{job_id}").headers["etag"]
    answer = wait_for(api, threads, job_id, headers={"if-none-match": etag})
    factory.claim(job_id)
    changed = answer.result(timeout=20)
    assert changed.status_code == 200
    assert changed.json()["status"] == "running"
    assert changed.headers["etag"] != etag


def test_a_poll_ends_with_the_present_state(api: Served, factory: Factory) -> None:
    job_id = factory.submit()
    still = api.client.get(f"/v1/jobs/{job_id}", params={"wait": "0.1"})
    assert (still.status_code, still.json()["status"]) == (200, "queued")
    headers = {"if-none-match": still.headers["etag"]}
    unchanged = api.client.get(f"/v1/jobs/{job_id}", params={"wait": "0.1"}, headers=headers)
    assert (unchanged.status_code, unchanged.content) == (304, b"")


@pytest.mark.parametrize("headers", [{}, {"if-none-match": '"0-other"'}, {"if-none-match": "*"}])
def test_a_poll_for_a_done_job_does_not_wait(api: Served, factory: Factory, headers: dict[str, str]) -> None:
    job_id = factory.in_state(Status.FAILED)
    # The client gives up after 30 seconds.
    answer = api.client.get(f"/v1/jobs/{job_id}", params={"wait": "60"}, headers=headers)
    assert answer.status_code == (304 if headers.get("if-none-match") == "*" else 200)


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "x", "1e999", "", "1 000"])
def test_a_malformed_wait_is_refused(api: Served, factory: Factory, as_problem: Any, wait: str) -> None:
    answer = api.client.get(f"/v1/jobs/{factory.submit()}", params={"wait": wait})
    assert as_problem(answer, 422, "invalid-input")["errors"][0]["pointer"] == "/query/wait"


def test_one_query_serves_all_that_wait(serve: Any, settings: Settings, factory: Factory) -> None:
    database = Database(settings, role="test")
    statements: list[str] = []
    event.listen(database._engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    api = serve(database=database)
    job_ids = [factory.submit() for _ in range(100)]

    async def wait_for_all() -> None:
        async with httpx.AsyncClient(base_url=api.url, limits=httpx.Limits(max_connections=200)) as client:
            polls = [
                asyncio.create_task(client.get(f"/v1/jobs/{job_id}", params={"wait": "30"}, timeout=60))
                for job_id in job_ids
            ]
            for job_id in job_ids:
                await asyncio.to_thread(waiting_for, api, job_id)
            statements.clear()
            await asyncio.sleep(1.0)
            # Polls every 50 to 100 ms; one query each, whatever the number of those who wait.
            assert 1 <= len(statements) <= 21
            for job_id in job_ids:
                await asyncio.to_thread(factory.end, await asyncio.to_thread(factory.claim, job_id), SUCCEEDED)
            for poll in polls:
                assert (await poll).json()["status"] == "succeeded"

    asyncio.run(wait_for_all())
    assert not api.app.state.services.waiters._waiters
    database.close()


def test_a_wait_ends_with_its_connection(api: Served, factory: Factory) -> None:
    job_id = factory.submit()
    with socket.create_connection(api.address) as connection:
        connection.sendall(f"GET /v1/jobs/{job_id}?wait=60 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        waiting_for(api, job_id)
    waiters = api.app.state.services.waiters._waiters
    until(lambda: not waiters, what="no request waits")


def test_waits_end_when_the_server_stops(api: Served, factory: Factory, threads: ThreadPoolExecutor) -> None:
    # Of two jobs: whether a second request waits for the same one cannot be seen.
    answers = [wait_for(api, threads, factory.submit()) for _ in range(2)]
    api.server.should_exit = True
    for answer in answers:
        assert answer.result(timeout=20).json()["status"] == "queued"
    until(
        lambda: all(thread.name != "batch-poll" for thread in threading.enumerate()), what="the batcher's thread ends"
    )


def test_a_wait_that_begins_during_a_poll_is_not_taken_for_a_job_that_is_gone() -> None:
    queued = JobState(Status.QUEUED, 0)
    polling, go_on = asyncio.Event(), asyncio.Event()

    async def read(job_ids: Collection[UUID]) -> Mapping[UUID, JobState]:
        polling.set()
        await go_on.wait()
        return dict.fromkeys(job_ids, queued)

    async def never_disconnects() -> Message:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def waits() -> None:
        waiters = JobWaiters(read)
        request = Request({"type": "http"}, receive=never_disconnects)
        first = asyncio.create_task(waiters.until(new_id(), lambda state: state is None, seconds=30, request=request))
        await polling.wait()
        late = asyncio.create_task(waiters.until(new_id(), lambda state: state is None, seconds=30, request=request))
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.sleep(0.2)
        assert not late.done()
        waiters.stop()
        await asyncio.gather(first, late)

    asyncio.run(waits())
