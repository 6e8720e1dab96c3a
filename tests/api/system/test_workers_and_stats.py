from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
from sqlalchemy import func, update

from callboard.api.openapi import models
from callboard.db.fleet.workers import WorkerState, heartbeat
from callboard.db.history.rollups import follow, recount_next
from callboard.db.models import workers
from callboard.db.rules.roles import Role
from callboard.db.rules.states import LIVE, Status
from callboard.db.sql.engine import Database
from callboard.db.version import VERSION
from tests.support.factory import Factory
from tests.support.serving import Served

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]


def test_job_types_are_described(api: Served) -> None:
    body = api.get("/v1/job-types")
    assert body["next_page_token"] is None
    assert [item["name"] for item in body["items"]] == ["team/report.pdf:v2", "test.job", "test.typed"]
    for item in body["items"]:
        models.JobType.model_validate(item)
        assert api.get(f"/v1/job-types/{item['name']}") == item
    plain, typed = body["items"][1:]
    assert plain["description"] == "Take anything."
    assert plain["example"] == {"n": 1}
    assert typed["queue"] == "orders"
    assert typed["defaults"] == {
        "priority": 7, "max_retries": 2, "time_limit": 30.0, "min_backoff": 15.0, "max_backoff": 604800.0,
    }  # fmt: skip
    assert typed["bounds"]["max_retries"] == {"minimum": 0, "maximum": 5}
    assert typed["bounds"]["time_limit"]["maximum"] == 60.0
    assert typed["payload_schema"]["required"] == ["customer"]
    assert typed["result_schema"]["properties"]["name"]["type"] == "string"


def test_an_unknown_job_type_is_not_found(client: httpx.Client, as_problem: AsProblem) -> None:
    as_problem(client.get("/v1/job-types/none"), 404, "not-found")
    as_problem(client.get("/v1/job-types/a/b/c"), 404, "not-found")


def test_stats_count_live_jobs(api: Served, factory: Factory) -> None:
    for status in (*sorted(LIVE), Status.QUEUED, Status.SUCCEEDED):
        factory.in_state(status, owner="a")
    factory.submit(owner="b", type="test.typed", queue="orders")
    body = api.get("/v1/stats")
    models.Stats.model_validate(body)
    assert body["live"] == len(LIVE) + 2
    assert body["by_status"] == {status.value: 3 if status is Status.QUEUED else 1 for status in LIVE}
    assert body["by_type"] == {"test.job": len(LIVE) + 1, "test.typed": 1}
    assert body["by_queue"] == {"default": len(LIVE) + 1, "orders": 1}
    assert sum(item["jobs"] for item in body["items"]) == body["live"]
    own = api.client.get("/v1/stats", headers={"x-owner": "b", "x-role": "client"}).json()
    assert (own["live"], own["by_type"]) == (1, {"test.typed": 1})


def test_stats_count_finished_jobs_of_the_last_day(api: Served, factory: Factory, database: Database) -> None:
    for status in (Status.SUCCEEDED, Status.SUCCEEDED, Status.FAILED):
        factory.in_state(status, owner="a")
    factory.in_state(Status.CANCELLED, owner="b", type="test.typed", queue="orders")
    with database.begin() as connection:
        follow(connection, late=60)
        while recount_next(connection):
            pass
    body = api.get("/v1/stats")
    models.Stats.model_validate(body)
    finished = body["finished"]
    assert finished["jobs"] == 4
    assert finished["by_status"] == {"succeeded": 2, "failed": 1, "cancelled": 1, "expired": 0}
    assert finished["by_type"]["test.typed"] == {"succeeded": 0, "failed": 0, "cancelled": 1, "expired": 0}
    own = api.client.get("/v1/stats", headers={"x-owner": "b", "x-role": "client"}).json()["finished"]
    assert (own["jobs"], list(own["by_type"])) == (1, ["test.typed"])
    assert finished["from"] < body["at"] <= finished["to"]


def test_everybody_hears_whether_jobs_run_at_all(api: Served, factory: Factory, database: Database) -> None:
    nobody = api.client.get("/v1/worker-status", headers={"x-role": "client"}).json()
    models.WorkerStatus.model_validate(nobody)
    assert (nobody["alive"], nobody["workers"], nobody["items"]) == (False, 0, [])
    factory.submit()
    factory.submit(type="test.typed", queue="orders")
    factory.worker("one")
    draining, silent = factory.worker("two"), factory.worker("three")
    with database.begin() as connection:
        heartbeat(connection, draining, WorkerState.DRAINING)
        connection.execute(
            update(workers).where(workers.c.id == silent).values(last_seen_at=func.now() - timedelta(minutes=10))
        )
    for role in Role:
        answer = api.client.get("/v1/worker-status", headers={"x-role": role, "x-owner": "nobody"})
        status = answer.json()
        models.WorkerStatus.model_validate(status)
        assert (status["alive"], status["workers"]) == (True, 1)
        assert status["threads"] > 0
        by_queue = {item["queue"]: item["workers"] for item in status["items"]}
        assert by_queue == {"default": 1, "orders": 0}
        assert "one" not in answer.text, "no names"


def test_a_queue_of_a_known_type_can_be_limited_before_anything_was_in_it(api: Served) -> None:
    assert api.get("/v1/queues")["items"] == []

    changed = api.client.patch("/v1/queues/default", json={"concurrency_limit": 3})

    assert changed.status_code == 200
    assert [queue["name"] for queue in api.get("/v1/queues")["items"]] == ["default"]
    assert api.client.patch("/v1/queues/nobodys", json={"concurrency_limit": 3}).status_code == 404


def test_queues_say_how_full_they_are(api: Served, factory: Factory) -> None:
    assert api.get("/v1/queues") == {"items": [], "next_page_token": None}
    for status in (Status.QUEUED, Status.SCHEDULED, Status.RUNNING, Status.SUCCEEDED):
        factory.in_state(status)
    (queue,) = api.get("/v1/queues")["items"]
    models.Queue.model_validate(queue)
    assert (queue["name"], queue["waiting"], queue["running"]) == ("default", 2, 1)
    assert queue["throughput"] == 1
    assert queue["oldest_waiting_age"] >= 0
    assert queue["paused"] is False


def test_workers_say_what_they_run(api: Served, factory: Factory, as_problem: AsProblem) -> None:
    job_id = factory.in_state(Status.RUNNING)
    idle = factory.worker("idle")
    items = {item["name"]: item for item in api.get("/v1/workers")["items"]}
    for item in items.values():
        models.Worker.model_validate(item)
    assert items["host-1"]["jobs"] == [str(job_id)]
    assert (items["host-1"]["running"], items["host-1"]["state"]) == (1, "running")
    assert (items["idle"]["id"], items["idle"]["jobs"], items["idle"]["running"]) == (str(idle), [], 0)
    assert api.client.get("/v1/workers", headers={"x-role": "viewer"}).status_code == 200
    as_problem(api.client.get("/v1/workers", headers={"x-role": "client"}), 403, "forbidden")


def test_the_version_is_told(api: Served) -> None:
    assert api.get("/v1/version")["version"] == VERSION
