from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from callboard.api.openapi import models
from callboard.db.dispatching.queues import ensure_queues, queue_names
from callboard.db.models import jobs
from callboard.db.rules.ids import created_at_of, new_id
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.sql.notify import DISPATCH_CHANNEL
from tests.support.factory import OUTCOMES, Factory
from tests.support.serving import Served

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
JOB_FIELDS = {
    "id", "type", "queue", "status", "done", "priority", "owner", "tags", "progress", "result", "error", "attempt",
    "max_retries", "time_limit", "created_at", "scheduled_at", "started_at", "finished_at", "expires_at",
    "next_attempt_at", "cancel_requested_at", "parent_id", "worker", "links", "result_ttl", "waiting_for",
    "estimate",
}  # fmt: skip
JSON = {"content-type": "application/json"}


def rows(database: Database) -> int:
    with database.begin() as connection:
        return connection.execute(select(func.count()).select_from(jobs)).scalar_one()


def in_an_hour(hours: float = 1) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


# --- what a submission gives ----------------------------------------------------------------------------------------


def test_a_job_is_stored_and_shown(client: httpx.Client, database: Database) -> None:
    answer = client.post("/v1/jobs", json={"type": "test.job", "payload": {"a": [1, None, "ü"]}})
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["retry-after"] == "1"
    job = answer.json()
    assert answer.headers["location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    assert "preference-applied" not in answer.headers
    assert "idempotency-replayed" not in answer.headers
    assert set(job) == JOB_FIELDS
    models.Job.model_validate_json(answer.content)
    assert job["status"] == "queued"
    assert job["done"] is False
    assert job["owner"] == "owner"
    assert TIME.fullmatch(job["created_at"])
    assert datetime.fromisoformat(job["created_at"]) == created_at_of(UUID(job["id"]))
    shown = client.get(job["links"]["self"], params={"include": "payload"})
    assert shown.headers["etag"] == answer.headers["etag"]
    assert shown.json() == {**job, "payload": {"a": [1, None, "ü"]}}
    with database.begin() as connection:
        assert queue_names(connection) == {"default", "orders"}


def test_a_type_gives_the_defaults(api: Served) -> None:
    job = api.submit("test.typed", {"customer": "x"})
    assert (job["queue"], job["priority"], job["max_retries"], job["time_limit"]) == ("orders", 7, 2, 30.0)


def test_a_submission_overrides_the_defaults(api: Served) -> None:
    job = api.submit(
        "test.typed", {"customer": "x"},
        queue="default", priority=0, max_retries=0, time_limit=0.5, tags={"case": "123", "größe": ""},
        expires_at="2999-01-01T01:00:00+01:00",
    )  # fmt: skip
    assert (job["queue"], job["priority"], job["max_retries"], job["time_limit"]) == ("default", 0, 0, 0.5)
    assert job["tags"] == {"case": "123", "größe": ""}
    assert job["expires_at"] == "2999-01-01T00:00:00.000Z"


def test_an_option_that_is_null_is_as_good_as_left_out(api: Served) -> None:
    without = api.submit()
    options: dict[str, Any] = dict.fromkeys(set(FIELDS.split()) - {"type", "payload"})
    nulls = api.submit(**options)
    differing = {"id", "created_at", "links"}
    assert {name: nulls[name] for name in nulls.keys() - differing} == {
        name: without[name] for name in without.keys() - differing
    }


def test_a_delayed_job_waits(api: Served) -> None:
    job = api.submit(delay=60)
    assert job["status"] == "scheduled"
    due = datetime.fromisoformat(job["scheduled_at"]) - datetime.fromisoformat(job["created_at"])
    assert 59 < due.total_seconds() < 65
    assert job["next_attempt_at"] == job["scheduled_at"]


def test_a_scheduled_job_waits_and_a_late_one_does_not(api: Served) -> None:
    assert api.submit(scheduled_at=in_an_hour())["status"] == "scheduled"
    assert api.submit(scheduled_at=in_an_hour(-1))["status"] == "queued"
    assert api.submit(delay=0)["status"] == "queued"


def test_nulls_are_as_if_left_out(api: Served) -> None:
    names = ("queue", "priority", "delay", "scheduled_at", "expires_at", "time_limit", "max_retries", "unique_key")
    body: dict[str, Any] = {"type": "test.job", "payload": {}, **dict.fromkeys(names)}
    assert api.client.post("/v1/jobs", json=body).json()["priority"] == 5


def test_a_queue_without_job_types_may_be_named_once_it_exists(
    client: httpx.Client, database: Database, as_problem: AsProblem
) -> None:
    body = {"type": "test.job", "payload": {}, "queue": "special"}
    assert as_problem(client.post("/v1/jobs", json=body), 422, "invalid-input")["errors"] == [
        {"detail": "there is no queue 'special'; there are default, orders", "pointer": "/queue"}
    ]
    with database.begin() as connection:
        ensure_queues(connection, ["special"])
    assert client.post("/v1/jobs", json=body).json()["queue"] == "special"


def test_a_parent_must_be_a_job_that_the_caller_sees(api: Served, factory: Factory, as_problem: AsProblem) -> None:
    theirs = factory.submit(owner="somebody")
    finished = factory.in_state(Status.SUCCEEDED, owner="me")
    headers = {"x-owner": "me", "x-role": "client"}
    for parent, accepted in ((theirs, False), (new_id(), False), (finished, True)):
        body = {"type": "test.job", "payload": {}, "parent_id": str(parent)}
        answer = api.client.post("/v1/jobs", json=body, headers=headers)
        if accepted:
            assert answer.json()["parent_id"] == str(parent)
        else:
            assert as_problem(answer, 422, "invalid-input")["errors"][0]["pointer"] == "/parent_id"


def test_a_submission_wakes_the_dispatcher(api: Served, settings: Settings) -> None:
    with psycopg.connect(settings.require_database_url(), autocommit=True) as listener:
        listener.execute(f"LISTEN {DISPATCH_CHANNEL}")
        api.submit()
        assert next(listener.notifies(timeout=10)).channel == DISPATCH_CHANNEL


def test_many_at_once_are_all_stored(api: Served, database: Database) -> None:
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda n: api.submit(payload={"n": n}), range(200)))
    assert len({job["id"] for job in made}) == rows(database) == 200


# --- what does not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"max_retries": 6}, "/max_retries"),
        ({"max_retries": -1}, "/max_retries"),
        ({"max_retries": 10**30}, "/max_retries"),
        ({"time_limit": 60.1}, "/time_limit"),
        ({"time_limit": 0}, "/time_limit"),
        ({"time_limit": "30"}, "/time_limit"),
        ({"priority": 10}, "/priority"),
        ({"priority": True}, "/priority"),
        ({"priority": 1.5}, "/priority"),
        ({"delay": -1}, "/delay"),
        ({"delay": 1e300}, "/delay"),
        ({"delay": 1, "scheduled_at": "2999-01-01T00:00:00Z"}, "/scheduled_at"),
        ({"scheduled_at": "2999-01-01T00:00:00Z", "expires_at": "2998-01-01T00:00:00Z"}, "/expires_at"),
        ({"scheduled_at": "tomorrow"}, "/scheduled_at"),
        ({"scheduled_at": 1700000000}, "/scheduled_at"),
        ({"scheduled_at": "1700000000"}, "/scheduled_at"),
        ({"scheduled_at": "2999-01-01"}, "/scheduled_at"),
        ({"scheduled_at": "2999-01-01T00:00:00"}, "/scheduled_at"),
        ({"scheduled_at": "2999-13-01T00:00:00Z"}, "/scheduled_at"),
        ({"scheduled_at": "0001-01-01T00:00:00+14:00"}, "/scheduled_at"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "/expires_at"),
        ({"tags": {"a": 1}}, "/tags/a"),
        ({"tags": {"a/b~c": None}}, "/tags/a~1b~0c"),
        ({"tags": ["a"]}, "/tags"),
        ({"tags": {str(n): "" for n in range(51)}}, "/tags"),
        ({"tags": {"a": "x" * 501}}, "/tags/a"),
        ({"unique_key": ""}, "/unique_key"),
        ({"unique_key": "x" * 201}, "/unique_key"),
        ({"parent_id": "7"}, "/parent_id"),
        ({"queue": ""}, "/queue"),
        ({"queue": "no\0queue"}, "/queue"),
        ({"nonsense": 1}, "/nonsense"),
        ({"payload": {}}, "/payload/customer"),
        ({"payload": {"customer": "x", "items": [{"name": "a"}, {"name": 1}]}}, "/payload/items/1/name"),
        ({"payload": None}, "/payload"),
        ({"type": "x" * 201}, "/type"),
        ({"type": 7}, "/type"),
    ],
)
def test_each_thing_that_does_not_fit_is_pointed_at(
    client: httpx.Client, database: Database, as_problem: AsProblem, fields: dict[str, Any], pointer: str
) -> None:
    body = {"type": "test.typed", "payload": {"customer": "x"}, **fields}
    errors = as_problem(client.post("/v1/jobs", json=body), 422, "invalid-input")["errors"]
    assert pointer in [error["pointer"] for error in errors]
    assert rows(database) == 0


def test_a_missing_payload_or_type_is_pointed_at(client: httpx.Client, as_problem: AsProblem) -> None:
    errors = as_problem(client.post("/v1/jobs", json={}), 422, "invalid-input")["errors"]
    assert [error["pointer"] for error in errors] == ["/type", "/payload"]


def test_an_unknown_type_brings_near_names(client: httpx.Client, as_problem: AsProblem) -> None:
    answer = client.post("/v1/jobs", json={"type": "test.jbo", "payload": {}})
    body = as_problem(answer, 422, "unknown-job-type")
    assert "test.job" in body["detail"]
    assert body["errors"][0]["pointer"] == "/type"


MALFORMED = [
    b"",
    b"{",
    b"nonsense",
    b'{"type": "test.job", "payload": NAN}',
    b'{"type": "test.job", "payload": "\xff"}',
    b'{"type": "test.job", "payload": "\\ud800"}',
    b'{"type": "test.job", "payload": {"\\udfff": 1}}',
    b'{"type": "test.job", "payload": ' + b"[" * 90_000,
    b'{"type": "test.job", "payload": ' + b"[" * 300 + b"]" * 300 + b"}",
    b'{"type": "test.job", "payload": ' + b"1" * 10_000 + b"}",
    '{"type": "test.job", "payload": {}}'.encode("utf-16"),
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_not_json_is_refused(
    client: httpx.Client, database: Database, as_problem: AsProblem, body: bytes
) -> None:
    as_problem(client.post("/v1/jobs", content=body, headers=JSON), 400, "malformed-body")
    assert rows(database) == 0


@pytest.mark.parametrize(
    ("payload", "pointer"),
    [
        (rb'"a\u0000b"', "/payload"),
        (rb'{"a": [1, "\u0000"]}', "/payload/a/1"),
        (rb'{"a": {"\u0000": 1}}', "/payload/a"),
        (b"1e999", "/payload"),
        (b"[-1e400]", "/payload/0"),
        (b"NaN", "/payload"),
        (b"[Infinity]", "/payload/0"),
        (b"18446744073709551616", "/payload"),
        (b'{"n": -9223372036854775809}', "/payload/n"),
    ],
)
def test_what_cannot_be_stored_is_pointed_at(
    client: httpx.Client, database: Database, as_problem: AsProblem, payload: bytes, pointer: str
) -> None:
    body = b'{"type": "test.job", "payload": ' + payload + b"}"
    answer = client.post("/v1/jobs", content=body, headers=JSON)
    assert [error["pointer"] for error in as_problem(answer, 422, "invalid-input")["errors"]] == [pointer]
    assert rows(database) == 0


@pytest.mark.parametrize(
    "payload",
    [
        rb'"\\u0000"',
        b"18446744073709551615",
        b"-9223372036854775808",
        b"[0.1, -0.0, 1e-300]",
        '"\U0001f600 \u2028 ü"'.encode(),
        rb'"\ud83d\ude00"',
        b"null",
        b"[" * 150 + b"]" * 150,
    ],
)
def test_unusual_values_come_back_as_they_are(api: Served, payload: bytes) -> None:
    body = b'{"type": "test.job", "payload": ' + payload + b"}"
    answer = api.client.post("/v1/jobs", content=body, headers=JSON)
    assert answer.status_code == 202, answer.text
    shown = api.get(f"/v1/jobs/{answer.json()['id']}", include="payload")
    assert shown["payload"] == httpx.Response(200, content=payload).json()


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_another_media_type_is_refused(client: httpx.Client, as_problem: AsProblem, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = client.post("/v1/jobs", content=b'{"type": "test.job", "payload": {}}', headers=headers)
    as_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/vnd.x+json", "Application/JSON"]
)
def test_json_media_types_are_taken(client: httpx.Client, content_type: str) -> None:
    body = b'{"type": "test.job", "payload": {}}'
    assert client.post("/v1/jobs", content=body, headers={"content-type": content_type}).status_code == 202


def test_a_large_payload_is_refused(client: httpx.Client, settings: Settings, as_problem: AsProblem) -> None:
    limit = settings.max_payload_bytes
    assert client.post("/v1/jobs", json={"type": "test.job", "payload": "x" * (limit - 2)}).status_code == 202
    answer = client.post("/v1/jobs", json={"type": "test.job", "payload": "x" * (limit - 1)})
    assert str(limit) in as_problem(answer, 413, "too-large")["detail"]


def test_a_large_body_is_refused_whether_it_says_so_or_not(serve: Any, as_problem: AsProblem) -> None:
    client = serve(max_body_bytes=1024).client
    as_problem(client.post("/v1/jobs", content=b" " * 1025, headers=JSON), 413, "too-large")

    def chunks() -> Any:
        for _ in range(3):
            yield b" " * 512

    as_problem(client.post("/v1/jobs", content=chunks(), headers=JSON), 413, "too-large")
    assert client.get("/livez").status_code == 200


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\0"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = "type payload queue priority delay scheduled_at expires_at time_limit max_retries tags unique_key parent_id"


def test_no_body_breaks_the_server(client: httpx.Client) -> None:
    @given(st.dictionaries(st.sampled_from(FIELDS.split()), values), st.booleans())
    def check(fields: dict[str, Any], complete: bool) -> None:
        body = {"type": "test.job", "payload": None, **fields} if complete else fields
        content = json.dumps(body).encode()
        assert client.post("/v1/jobs", content=content, headers=JSON).status_code in {202, 200, 400, 422}

    check()


# --- idempotency keys and unique keys --------------------------------------------------------------------------------


def test_the_same_key_and_body_give_the_same_job(api: Served, factory: Factory, database: Database) -> None:
    def post() -> httpx.Response:
        headers = {"idempotency-key": "k-1"}
        return api.client.post("/v1/jobs", json={"type": "test.job", "payload": 1}, headers=headers)

    first, second = post(), post()
    assert (first.status_code, second.status_code) == (202, 202)
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.json() == first.json()
    factory.claim(UUID(first.json()["id"]))
    assert post().json()["status"] == "running"
    assert rows(database) == 1


def test_the_same_key_with_another_body_is_refused(client: httpx.Client, as_problem: AsProblem) -> None:
    headers = {"idempotency-key": "k"}
    assert client.post("/v1/jobs", json={"type": "test.job", "payload": 1}, headers=headers).status_code == 202
    answer = client.post("/v1/jobs", json={"type": "test.job", "payload": 2}, headers=headers)
    as_problem(answer, 422, "idempotency-key-reused")
    batch = client.post("/v1/jobs/batch", json={"jobs": [{"type": "test.job", "payload": 1}]}, headers=headers)
    as_problem(batch, 422, "idempotency-key-reused")


def test_keys_are_an_owners_own(client: httpx.Client) -> None:
    body = {"type": "test.job", "payload": 1}
    made = [
        client.post("/v1/jobs", json=body, headers={"idempotency-key": "k", "x-owner": owner}).json()["id"]
        for owner in ("ann", "bob", "ann")
    ]
    assert made[0] == made[2] != made[1]


def test_one_key_used_at_the_same_time_gives_one_job(api: Served, database: Database) -> None:
    def post(_: int) -> str:
        body = {"type": "test.job", "payload": 1}
        answer = api.client.post("/v1/jobs", json=body, headers={"idempotency-key": "same"})
        assert answer.status_code == 202
        job_id: str = answer.json()["id"]
        return job_id

    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(post, range(64)))) == 1
    assert rows(database) == 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ü"])
def test_a_malformed_key_is_refused(client: httpx.Client, as_problem: AsProblem, key: str) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    answer = client.post("/v1/jobs", json={"type": "test.job", "payload": 1}, headers=headers)
    assert as_problem(answer, 422, "invalid-input")["errors"][0]["pointer"].lower() == "/headers/idempotency-key"


def test_a_unique_key_gives_the_live_job_and_is_free_after_it(api: Served, factory: Factory) -> None:
    body = {"type": "test.job", "payload": {"n": 1}, "unique_key": "nightly"}
    first = api.client.post("/v1/jobs", json=body)
    assert first.status_code == 202
    second = api.client.post("/v1/jobs", json={**body, "payload": {"n": 2}, "priority": 9})
    assert second.status_code == 200
    assert second.json() == first.json()
    other = api.client.post("/v1/jobs", json=body, headers={"x-owner": "else"})
    assert other.status_code == 202
    job_id = UUID(first.json()["id"])
    factory.end(factory.claim(job_id), OUTCOMES[Status.SUCCEEDED])
    third = api.client.post("/v1/jobs", json=body)
    assert third.status_code == 202
    assert third.json()["id"] != first.json()["id"]


# --- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_gives_ids_in_order(api: Served) -> None:
    wanted = [{"type": "test.job", "payload": n, "priority": n % 10} for n in range(1000)]
    answer = api.client.post("/v1/jobs/batch", json={"jobs": wanted})
    assert answer.status_code == 202
    assert list(answer.json()) == ["ids"]
    ids = answer.json()["ids"]
    assert len(set(ids)) == 1000
    for n in (0, 1, 999):
        assert api.get(f"/v1/jobs/{ids[n]}", include="payload")["payload"] == n


def test_a_bad_item_refuses_the_whole_batch(client: httpx.Client, database: Database, as_problem: AsProblem) -> None:
    good = {"type": "test.job", "payload": 1}
    typed = {"type": "test.typed", "payload": {"customer": "x"}}
    for bad, code, pointer in (
        ({**typed, "payload": {}}, "invalid-input", "/jobs/1/payload/customer"),
        ({**typed, "max_retries": 99}, "invalid-input", "/jobs/1/max_retries"),
        ({**good, "queue": "none"}, "invalid-input", "/jobs/1/queue"),
        ({**good, "parent_id": str(new_id())}, "invalid-input", "/jobs/1/parent_id"),
        ({**good, "x": 1}, "invalid-input", "/jobs/1/x"),
        ({**good, "payload": ["\0"]}, "invalid-input", "/jobs/1/payload/0"),
        ({**good, "type": "none"}, "unknown-job-type", "/jobs/1/type"),
    ):
        answer = client.post("/v1/jobs/batch", json={"jobs": [good, bad, good]})
        assert [error["pointer"] for error in as_problem(answer, 422, code)["errors"]] == [pointer]
    assert rows(database) == 0


def test_a_batch_has_limits(serve: Any, as_problem: AsProblem) -> None:
    client = serve(max_batch_jobs=2).client
    jobs_ = [{"type": "test.job", "payload": 1}] * 3
    for batch in ([], jobs_):
        errors = as_problem(client.post("/v1/jobs/batch", json={"jobs": batch}), 422, "invalid-input")["errors"]
        assert errors[0]["pointer"] == "/jobs"
    assert client.post("/v1/jobs/batch", json={"jobs": jobs_[:2]}).status_code == 202


def test_a_batch_with_a_key_is_made_once(client: httpx.Client, database: Database) -> None:
    body = {"jobs": [{"type": "test.job", "payload": n} for n in range(3)]}
    first, second = (client.post("/v1/jobs/batch", json=body, headers={"idempotency-key": "b"}) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert rows(database) == 3


def test_a_batch_names_the_live_job_of_a_unique_key(api: Served) -> None:
    there = api.submit(unique_key="u")["id"]
    wanted = [{"type": "test.job", "payload": 1, "unique_key": key} for key in ("u", "v", "v")]
    ids = api.client.post("/v1/jobs/batch", json={"jobs": wanted}).json()["ids"]
    assert ids[0] == there
    assert ids[1] == ids[2] != there
