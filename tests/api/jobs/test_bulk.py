"""``POST /v1/jobs/bulk``: what it accepts, and the job that it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import TypeAdapter
from sqlalchemy import select

import callboard.actors.jobs.bulk  # noqa: F401 - registers the type
from callboard.actors.types.registry import Registry
from callboard.actors.types.registry import registry as built_in
from callboard.db.bulk import JOB_TYPE, BulkOrder
from callboard.db.models import audit_log
from callboard.db.reads.jobs import get_payload
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from tests.support.serving import Served

Problem = Callable[[httpx.Response, int, str], dict[str, Any]]


def ask(api: Served, **body: Any) -> httpx.Response:
    return api.client.post("/v1/jobs/bulk", json=body)


def test_it_answers_with_a_job(api: Served, database: Database) -> None:
    chosen = {
        "status": ["queued", "running"], "type": "a", "queue": "q", "owner": "ann", "tag": ["case:1", "x:y:z"],
        "created_after": "2026-01-01T00:00:00Z", "created_before": "2027-01-01T00:00:00Z",
        "parent_id": "01a201f2-6231-744a-a994-d1024d5f5352",
    }  # fmt: skip
    answer = api.client.post(
        "/v1/jobs/bulk", json={"action": "cancel", "filter": chosen}, headers={"x-owner": "olga", "x-request-id": "r1"}
    )

    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["type"], job["queue"], job["status"], job["owner"]) == ("callboard.bulk", "callboard", "queued", "olga")
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["etag"] == api.client.get(f"/v1/jobs/{job['id']}").headers["etag"]
    with database.begin() as connection:
        payload = TypeAdapter(BulkOrder).validate_json(get_payload(connection, UUID(job["id"])) or "")
        entry = connection.execute(select(audit_log)).mappings().one()
    assert payload.filter.statuses == {Status.QUEUED, Status.RUNNING}
    assert payload.filter.tags == {"case": "1", "x": "y:z"}
    assert (payload.filter.owner, str(payload.filter.parent_id)) == ("ann", chosen["parent_id"])
    assert (payload.actor.name, payload.actor.request_id) == ("olga", "r1")
    assert (entry["action"], entry["actor"], str(entry["job_id"])) == ("jobs.bulk", "olga", job["id"])
    assert '"cancel"' in entry["subject"]


def test_every_job_must_be_said_on_purpose(api: Served, as_problem: Problem) -> None:
    empties: list[dict[str, Any]] = [{}, {"status": []}, {"type": None}, {"status": None, "tag": None}]
    for empty in empties:
        refused = as_problem(ask(api, action="cancel", filter=empty), 422, "invalid-input")
        assert refused["errors"] == [{"detail": "names nothing", "pointer": "/filter"}]
        assert '"all": true' in refused["detail"]
        assert ask(api, action="cancel", filter=empty, all=True).status_code == 202


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"action": "cancel", "filter": {"typ": "a"}}, "/filter/typ"),
        ({"action": "cancel"}, "/filter"),
        ({"action": "cancel", "all": True}, "/filter"),
        ({"action": "pause", "filter": {"type": "a"}}, "/action"),
        ({"action": "cancel", "filter": {"type": "a"}, "all": True}, "/all"),
        ({"action": "cancel", "filter": {"status": ["succeeded"]}}, "/filter/status"),
        ({"action": "retry", "filter": {"status": ["failed", "succeeded"]}}, "/filter/status"),
        ({"action": "delete", "filter": {"status": ["running"]}}, "/filter/status"),
        ({"action": "delete", "filter": {"status": ["gone"]}}, "/filter/status/0"),
        ({"action": "delete", "filter": {"tag": ["nocolon"]}}, "/filter/tag"),
        ({"action": "delete", "filter": {"owner": "a\0"}}, "/filter/owner"),
        ({"action": "delete", "filter": {"created_after": "yesterday"}}, "/filter/created_after"),
    ],
)
def test_what_is_wrong_is_named(api: Served, as_problem: Problem, body: dict[str, Any], pointer: str) -> None:
    refused = as_problem(ask(api, **body), 422, "invalid-input")

    assert [error["pointer"] for error in refused["errors"]] == [pointer]
    assert api.get("/v1/jobs")["items"] == []


def test_a_repeated_request_makes_one_job(api: Served, as_problem: Problem) -> None:
    body = {"action": "delete", "filter": {"type": "a"}}
    headers = {"Idempotency-Key": "once"}
    first = api.client.post("/v1/jobs/bulk", json=body, headers=headers)
    again = api.client.post("/v1/jobs/bulk", json=body, headers=headers)

    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    api.client.post(first.json()["links"]["cancel"])
    after_its_end = api.client.post("/v1/jobs/bulk", json=body, headers=headers)
    assert (after_its_end.status_code, after_its_end.json()["done"]) == (202, True)
    assert after_its_end.headers["retry-after"] == again.headers["retry-after"] == "1"
    other = api.client.post("/v1/jobs/bulk", json={**body, "action": "retry"}, headers=headers)
    as_problem(other, 422, "idempotency-key-reused")


def test_clients_cannot_submit_it_by_themselves(
    serve: Callable[[], Served], registry: Registry, as_problem: Problem
) -> None:
    registry.add(built_in.get(JOB_TYPE))
    api = serve()
    body = {"type": "callboard.bulk", "payload": {"action": "delete", "filter": {}, "actor": {"name": "mallory"}}}

    as_problem(api.client.post("/v1/jobs", json=body), 422, "unknown-job-type")
    as_problem(api.client.post("/v1/jobs/batch", json={"jobs": [body]}), 422, "unknown-job-type")
    as_problem(api.client.post("/v1/run/callboard.bulk", json=body["payload"]), 404, "not-found")
    as_problem(api.client.get("/v1/job-types/callboard.bulk"), 404, "not-found")
    assert "callboard.bulk" not in {item["name"] for item in api.get("/v1/job-types")["items"]}
