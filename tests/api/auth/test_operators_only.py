"""Job types that only operators use: what their jobs do, they do to others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import select

import callboard.actors.jobs.bulk
import callboard.actors.jobs.diagnostics  # noqa: F401 - registers the types
from callboard.actors.types.registry import Registry, job
from callboard.actors.types.registry import registry as built_in
from callboard.api.authenticator import Authenticator
from callboard.db.bulk import JOB_TYPE
from callboard.db.errors import ConfigurationError
from callboard.db.models import audit_log
from callboard.db.rules.roles import Role
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from tests.support.factory import Factory
from tests.support.keys import bearer, make_key
from tests.support.serving import Served

Serve = Callable[..., Served]
AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]

CRASH = {"type": "diagnostics.crash", "payload": {}}


@pytest.fixture
def registry(registry: Registry) -> Registry:
    """As an api process has it: the tests' types, and those of Callboard itself."""
    for job_type in built_in.select(lambda job_type: job_type.name.startswith(("callboard.", "diagnostics."))):
        registry.add(job_type)
    return registry


@pytest.fixture
def client(serve: Serve) -> httpx.Client:
    return serve(authenticate=Authenticator(local=True)).client


@pytest.fixture
def team(database: Database) -> dict[str, dict[str, str]]:
    """The headers of two members of one team, which share an owner."""
    roles = {"client": Role.CLIENT, "viewer": Role.VIEWER, "operator": Role.OPERATOR}
    return {name: bearer(make_key(database, "team", role)) for name, role in roles.items()}


@pytest.mark.parametrize("job_type", [JOB_TYPE, "diagnostics.crash", "callboard.of-another-version"])
@pytest.mark.parametrize("role", ["client", "viewer"])
def test_who_shares_the_owner_of_an_operator_may_not_act_on_its_jobs(
    client: httpx.Client, factory: Factory, team: dict[str, Any], as_problem: AsProblem, job_type: str, role: str
) -> None:
    for status, method, suffix in [
        (Status.CANCELLED, "POST", "/retry"),
        (Status.QUEUED, "POST", "/cancel"),
        (Status.QUEUED, "PATCH", ""),
        (Status.CANCELLED, "DELETE", ""),
        (Status.SUCCEEDED, "GET", "/result?consume=true"),
    ]:
        path = f"/v1/jobs/{factory.in_state(status, owner='team', type=job_type)}"
        body = {"priority": 9} if method == "PATCH" else None

        said = as_problem(client.request(method, path + suffix, json=body, headers=team[role]), 403, "forbidden")

        assert job_type in said["detail"]
        assert client.get(path, headers=team[role]).json()["status"] == status
        assert client.request(method, path + suffix, json=body, headers=team["operator"]).is_success


def test_a_client_submits_none_of_them(client: httpx.Client, team: dict[str, Any], as_problem: AsProblem) -> None:
    noop = {"type": "diagnostics.noop", "payload": {}}
    for path, body in [
        ("/v1/jobs", CRASH),
        ("/v1/jobs", {"type": "diagnostics.hang", "payload": {"seconds": 1}}),
        ("/v1/jobs/batch", {"jobs": [noop, CRASH]}),
        ("/v1/run/diagnostics.crash", {}),
    ]:
        said = as_problem(client.post(path, json=body, headers=team["client"]), 403, "forbidden")
        assert "operator" in said["detail"]
        headers = {**team["operator"], "Prefer": "respond-async"}
        assert client.post(path, json=body, headers=headers).status_code == 202
    assert client.get("/v1/stats", headers=team["operator"]).json()["live"] == 5


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/jobs", CRASH), ("/v1/jobs/bulk", {"action": "cancel", "filter": {"type": "test.job"}})],
    ids=["job", "bulk"],
)
def test_nor_does_it_repeat_the_operator_s_request(
    client: httpx.Client, team: dict[str, Any], as_problem: AsProblem, path: str, body: Any
) -> None:
    key = {"Idempotency-Key": "once"}
    made = client.post(path, json=body, headers={**team["operator"], **key})
    assert made.status_code == 202

    as_problem(client.post(path, json=body, headers={**team["client"], **key}), 403, "forbidden")
    again = client.post(path, json=body, headers={**team["operator"], **key})
    assert again.json()["id"] == made.json()["id"]


@pytest.mark.parametrize("role", ["client", "operator"])
def test_the_queue_of_callboard_is_for_its_own_jobs(
    client: httpx.Client, team: dict[str, Any], as_problem: AsProblem, role: str
) -> None:
    bulk = {"action": "cancel", "filter": {"type": "test.job"}}
    assert client.post("/v1/jobs/bulk", json=bulk, headers=team["operator"]).json()["queue"] == "callboard"
    body = {"type": "diagnostics.noop", "payload": {}, "queue": "callboard", "priority": 9}

    said = as_problem(client.post("/v1/jobs", json=body, headers=team[role]), 422, "invalid-input")
    assert [error["pointer"] for error in said["errors"]] == ["/queue"]
    batch = client.post("/v1/jobs/batch", json={"jobs": [body]}, headers=team[role])
    assert [error["pointer"] for error in as_problem(batch, 422, "invalid-input")["errors"]] == ["/jobs/0/queue"]
    assert client.post("/v1/queues/callboard/pause", headers=team["client"]).status_code == 403


def test_no_job_type_of_a_user_has_that_queue() -> None:
    with pytest.raises(ConfigurationError, match=r"queue is 'callboard'.*Callboard's own jobs"):
        job("mine", queue="callboard", into=Registry())(lambda payload: payload)


def test_a_type_of_a_user_can_be_for_operators_too() -> None:
    registry = Registry()
    job("mine", operators_only=True, into=registry)(lambda payload: payload)

    assert registry.needs_operator("mine")
    assert not registry.needs_operator("no.such")


def test_the_audit_log_names_the_key(client: httpx.Client, database: Database, factory: Factory) -> None:
    keys = [make_key(database, "team", Role.OPERATOR) for _ in range(2)]
    job_ids = [factory.in_state(Status.QUEUED, owner="ann") for _ in keys]

    for key, job_id in zip(keys, job_ids, strict=True):
        assert client.post(f"/v1/jobs/{job_id}/cancel", headers=bearer(key)).status_code == 202

    with database.begin() as connection:
        entries = connection.execute(select(audit_log).order_by(audit_log.c.id)).mappings().all()
    assert [(entry["actor"], entry["key_id"], entry["job_id"]) for entry in entries] == [
        ("team", key.split("_")[2], job_id) for key, job_id in zip(keys, job_ids, strict=True)
    ]
