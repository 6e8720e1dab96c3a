"""``GET /metrics``: what operators scrape, and that it stays small, cheap and there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import event

from callboard.db.dispatching.queues import QueueChange, change_queue, ensure_queues
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.transitions import AttemptId, await_worker, recall
from tests.support.factory import Factory
from tests.support.serving import Served

Serve = Callable[..., Served]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(client: httpx.Client) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"callboard_{name}", frozenset(labels.items())))


def test_live_jobs_are_counted_by_status_type_and_queue(api: Served, factory: Factory) -> None:
    for each in Status:
        factory.in_state(each)
    factory.submit(type="other", queue="orders")
    samples = scrape(api.client)

    for status in ("queued", "running", "scheduled", "retrying", "blocked"):
        assert value(samples, "jobs", status=status, type="test.job", queue="default") == 1
    assert value(samples, "jobs", status="queued", type="other", queue="orders") == 1
    assert value(samples, "live_jobs", status="queued") == 2
    assert value(samples, "jobs", status="failed", type="test.job", queue="default") is None


def test_queues_and_workers(api: Served, database: Database, factory: Factory) -> None:
    factory.submit()
    factory.worker()
    with database.begin() as connection:
        ensure_queues(connection, ["idle"])
        change_queue(connection, "idle", QueueChange({"paused": True}))
    samples = scrape(api.client)

    waited = value(samples, "queue_oldest_waiting_seconds", queue="default")
    assert waited is not None
    assert 0 < waited < 100
    assert value(samples, "queue_oldest_waiting_seconds", queue="idle") == 0
    assert value(samples, "queue_paused", queue="idle") == 1
    assert value(samples, "queue_paused", queue="default") == 0
    assert value(samples, "workers", state="running") == 1
    assert value(samples, "workers", state="lost") == 0


def test_jobs_that_wait_for_a_worker_are_counted(api: Served, database: Database, factory: Factory) -> None:
    met, claimed = factory.submit(type="new.type"), factory.submit(type="new.type")
    factory.submit(type="new.type")
    with database.begin() as connection:
        await_worker(connection, [AttemptId(met, 1), AttemptId(claimed, 1)], grace=60.0)
        assert recall(connection, ["new.type"]) == 2
    factory.claim(claimed)

    assert value(scrape(api.client), "jobs_waiting_for_worker", type="new.type", queue="default") == 1


def test_requests_are_counted_by_the_template_of_their_path(api: Served) -> None:
    for _ in range(3):
        api.get(f"/v1/jobs/{api.submit()['id']}")
    for path in ("/nope/1", "/nope/2", f"/v1/jobs/{uuid4()}", "/v1/files/1"):
        assert api.client.get(path).status_code == 404
    samples = scrape(api.client)

    def requests(**labels: str) -> float | None:
        return value(samples, "http_request_duration_seconds_count", **labels)

    assert requests(method="POST", route="/v1/jobs", status="202") == 3
    assert requests(method="GET", route="/v1/jobs/{job_id}", status="200") == 3
    assert requests(method="GET", route="/v1/jobs/{job_id}", status="404") == 1
    assert requests(method="GET", route="/v1/files/{file_id}", status="404") == 1
    assert requests(method="GET", route="other", status="404") == 2
    bucket = {"method": "POST", "route": "/v1/jobs", "status": "202", "le": "+Inf"}
    assert value(samples, "http_request_duration_seconds_bucket", **bucket) == 3


def test_submissions_are_counted_once(api: Served) -> None:
    headers = {"Idempotency-Key": "once"}
    body = {"type": "test.job", "payload": {}}
    for _ in range(2):
        assert api.client.post("/v1/jobs", json=body, headers=headers).status_code == 202
    api.submit(unique_key="a")
    api.submit(unique_key="a")
    api.client.post("/v1/jobs/batch", json={"jobs": [body] * 5}).raise_for_status()

    assert value(scrape(api.client), "jobs_submitted_total", type="test.job", queue="default") == 7


def test_open_streams_are_counted(api: Served) -> None:
    with api.client.stream("GET", "/v1/jobs/stream") as answer:
        lines = answer.iter_lines()
        next(lines)
        assert value(scrape(api.client), "open_streams") == 1


def test_nothing_names_a_job_or_an_owner(api: Served, factory: Factory) -> None:
    job_id = str(factory.submit(owner="ann-secret"))
    api.get(f"/v1/jobs/{job_id}")
    text = api.client.get("/metrics").text

    assert job_id not in text
    assert "ann-secret" not in text


def test_many_who_scrape_ask_the_database_once(serve: Serve, settings: Settings) -> None:
    database = Database(settings, role="test api")
    asked: list[str] = []
    event.listen(database._engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    api = serve(database)
    with ThreadPoolExecutor(20) as pool:
        start = threading.Barrier(20)

        def ask(_: int) -> int:
            start.wait()
            return api.client.get("/metrics").status_code

        assert set(pool.map(ask, range(20))) == {200}
    database.close()

    # A slow machine may need more than the second for which an answer is good.
    assert 3 <= len([statement for statement in asked if "FROM callboard" in statement]) <= 9


def test_it_is_there_while_the_database_is_away(serve: Serve, settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://u:p@127.0.0.1:1/n")})
    database = Database(away, role="test api")
    samples = scrape(serve(database).client)
    database.close()

    assert value(samples, "database_up") == 0
    assert value(samples, "live_jobs", status="queued") is None


@pytest.mark.parametrize("public", [False, True])
def test_who_may_read_it(serve: Serve, public: bool, as_problem: Callable[..., dict[str, Any]]) -> None:
    api = serve(metrics_public=public)
    answer = api.client.get("/metrics", headers={"x-role": "client"})

    if public:
        assert answer.status_code == 200
    else:
        as_problem(answer, 403, "forbidden")
    assert api.client.get("/metrics", headers={"x-role": "viewer"}).status_code == 200
