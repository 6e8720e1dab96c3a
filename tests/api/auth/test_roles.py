"""Who may: every operation of the OpenAPI document, asked by the owner, another client, and each role above."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from callboard.actors.types.registry import Registry
from callboard.api.app import create_app
from callboard.api.authenticator import Authenticator
from callboard.db.dispatching.queues import ensure_queues
from callboard.db.rules.roles import Role
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.factory import Factory
from tests.support.keys import bearer, make_key
from tests.support.serving import serving

CALLERS = ("ann", "bob", "viewer", "operator", "admin")


@dataclass
class World:
    """Ann's job and file, made anew for each request."""

    client: httpx.Client
    keys: dict[str, str]
    factory: Factory

    def job(self, status: Status) -> str:
        return str(self.factory.in_state(status, owner="ann", type="test.job"))

    def file(self) -> str:
        answer = self.client.post("/v1/files", files={"file": ("a", b"0123")}, headers=bearer(self.keys["ann"]))
        file_id: str = answer.json()["id"]
        return file_id


Ask = Callable[[World], tuple[str, str, dict[str, Any]]]


def plain(method: str, path: str, **options: Any) -> Ask:
    return lambda _world: (method, path, options)


def of_job(method: str, status: Status, suffix: str = "", **options: Any) -> Ask:
    return lambda world: (method, f"/v1/jobs/{world.job(status)}{suffix}", options)


def of_file(method: str) -> Ask:
    return lambda world: (method, f"/v1/files/{world.file()}", {})


JOB = {"type": "test.job", "payload": {}}
QUEUE = "/v1/queues/default"

#: By operationId: a request about what is Ann's, and the status for each of CALLERS.
OPERATIONS: dict[str, tuple[Ask, tuple[int, ...]]] = {
    "submitJob": (plain("POST", "/v1/jobs", json=JOB), (202, 202, 403, 202, 202)),
    "submitBatch": (plain("POST", "/v1/jobs/batch", json={"jobs": [JOB]}), (202, 202, 403, 202, 202)),
    "runJob": (
        plain("POST", "/v1/run/test.job", json={}, headers={"Prefer": "respond-async"}),
        (202, 202, 403, 202, 202),
    ),
    "listJobs": (plain("GET", "/v1/jobs"), (200, 200, 200, 200, 200)),
    "getJob": (of_job("GET", Status.QUEUED), (200, 404, 200, 200, 200)),
    "getResult": (of_job("GET", Status.SUCCEEDED, "/result"), (200, 404, 200, 200, 200)),
    "listAttempts": (of_job("GET", Status.SUCCEEDED, "/attempts"), (200, 404, 200, 200, 200)),
    "listJobFiles": (of_job("GET", Status.SUCCEEDED, "/files"), (200, 404, 200, 200, 200)),
    "listEvents": (of_job("GET", Status.SUCCEEDED, "/events"), (200, 404, 200, 200, 200)),
    "streamJobs": (plain("GET", "/v1/jobs/stream"), (200, 200, 200, 200, 200)),
    "makeStreamTicket": (
        plain("POST", "/v1/stream-tickets", json={"url": "/v1/jobs/stream"}),
        (201, 201, 201, 201, 201),
    ),
    "cancelJob": (of_job("POST", Status.QUEUED, "/cancel"), (202, 404, 403, 202, 202)),
    "retryJob": (of_job("POST", Status.FAILED, "/retry"), (202, 404, 403, 202, 202)),
    "amendJob": (of_job("PATCH", Status.QUEUED, json={"priority": 1}), (200, 404, 403, 200, 200)),
    "bulkJobs": (
        plain("POST", "/v1/jobs/bulk", json={"action": "cancel", "filter": {"type": "test.job"}}),
        (403, 403, 403, 202, 202),
    ),
    "deleteJob": (of_job("DELETE", Status.SUCCEEDED), (204, 404, 403, 204, 204)),
    "uploadFile": (plain("POST", "/v1/files", files={"file": ("a", b"0")}), (201, 201, 403, 201, 201)),
    "downloadFile": (of_file("GET"), (200, 404, 200, 200, 200)),
    "deleteFile": (of_file("DELETE"), (204, 404, 403, 204, 204)),
    "listJobTypes": (plain("GET", "/v1/job-types"), (200, 200, 200, 200, 200)),
    "getJobType": (plain("GET", "/v1/job-types/test.job"), (200, 200, 200, 200, 200)),
    "listQueues": (plain("GET", "/v1/queues"), (200, 200, 200, 200, 200)),
    "pauseQueue": (plain("POST", f"{QUEUE}/pause"), (403, 403, 403, 200, 200)),
    "resumeQueue": (plain("POST", f"{QUEUE}/resume"), (403, 403, 403, 200, 200)),
    "configureQueue": (plain("PATCH", QUEUE, json={"dispatch_window": 3}), (403, 403, 403, 200, 200)),
    "listWorkers": (plain("GET", "/v1/workers"), (403, 403, 200, 200, 200)),
    "getWorkerStatus": (plain("GET", "/v1/worker-status"), (200, 200, 200, 200, 200)),
    "getStats": (plain("GET", "/v1/stats"), (200, 200, 200, 200, 200)),
    "getMetrics": (plain("GET", "/metrics"), (403, 403, 200, 200, 200)),
    "summariseHistory": (plain("GET", "/v1/history/summary"), (200, 200, 200, 200, 200)),
    "listFailures": (plain("GET", "/v1/history/failures"), (200, 200, 200, 200, 200)),
    "exportHistory": (plain("GET", "/v1/history/export"), (200, 200, 200, 200, 200)),
    "live": (plain("GET", "/livez"), (200, 200, 200, 200, 200)),
    "ready": (plain("GET", "/readyz"), (200, 200, 200, 200, 200)),
    "getIndex": (plain("GET", "/"), (200, 200, 200, 200, 200)),
    "getVersion": (plain("GET", "/v1/version"), (200, 200, 200, 200, 200)),
    "explainProblem": (plain("GET", "/problems/forbidden"), (200, 200, 200, 200, 200)),
}


@pytest.fixture
def world(
    settings: Settings, registry: Registry, database: Database, factory: Factory, tmp_path: Path
) -> Iterator[World]:
    roles = {"ann": Role.CLIENT, "bob": Role.CLIENT, **{name: Role(name) for name in ("viewer", "operator", "admin")}}
    with database.begin() as connection:
        ensure_queues(connection, ["default"])
    keys = {name: make_key(database, name, role) for name, role in roles.items()}
    app = create_app(
        settings.model_copy(update={"files_url": (tmp_path / "files").as_uri()}),
        registry,
        authenticate=Authenticator(local=True),
    )
    with ExitStack() as stack:
        yield World(stack.enter_context(serving(app)).client, keys, factory)


def test_every_operation_is_asked_by_everybody(world: World) -> None:
    paths = world.client.get("/openapi.json").json()["paths"]
    documented = {operation["operationId"] for operations in paths.values() for operation in operations.values()}
    assert documented - set(OPERATIONS) == set(), "say above who may call them"

    got = {}
    for name in sorted(documented):
        ask, _ = OPERATIONS[name]
        statuses = []
        for caller in CALLERS:
            method, path, options = ask(world)
            headers = {**options.get("headers", {}), **bearer(world.keys[caller])}
            with world.client.stream(method, path, **{**options, "headers": headers}) as answer:
                statuses.append(answer.status_code)
                # A stream of events has no end.
                if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                    answer.read()
        got[name] = tuple(statuses)
    assert got == {name: OPERATIONS[name][1] for name in documented}


def test_what_a_list_shows_is_what_the_caller_may_see(world: World) -> None:
    mine = world.job(Status.QUEUED)

    def listed(caller: str, **params: str) -> list[str]:
        answer = world.client.get("/v1/jobs", params=params, headers=bearer(world.keys[caller]))
        return [item["id"] for item in answer.json()["items"]]

    assert {caller: listed(caller) for caller in CALLERS} == {
        "ann": [mine], "bob": [], "viewer": [mine], "operator": [mine], "admin": [mine],
    }  # fmt: skip
    assert listed("bob", owner="ann") == []
    assert world.client.get("/v1/stats", headers=bearer(world.keys["bob"])).json()["live"] == 0


def test_a_child_of_a_job_that_one_may_not_see_is_refused(world: World) -> None:
    body = {**JOB, "parent_id": world.job(Status.QUEUED)}

    assert world.client.post("/v1/jobs", json=body, headers=bearer(world.keys["bob"])).status_code == 422
    assert world.client.post("/v1/jobs", json=body, headers=bearer(world.keys["ann"])).status_code == 202
