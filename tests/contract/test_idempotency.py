"""API.md, Idempotency: Idempotency-Key and unique_key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx

from tests.contract.callboard import Client
from tests.contract.formats import pointers, problem


def post(client: Client, key: str, value: int = 1, path: str = "/v1/jobs") -> httpx.Response:
    body = {"type": "diagnostics.echo", "payload": {"value": value}}
    return client.post(
        path, json={"jobs": [body, body]} if path.endswith("batch") else body, headers={"Idempotency-Key": key}
    )


def test_same_key_and_body_is_the_same_job_replayed(ann: Client) -> None:
    key = str(uuid4())
    first = post(ann, key)
    assert first.status_code == 202
    assert "Idempotency-Replayed" not in first.headers
    again = post(ann, key)
    assert again.status_code in {200, 202}
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    ann.done(first.json()["id"])
    later = post(ann, key)
    assert (later.status_code, later.json()["status"]) == (200, "succeeded"), "its present state"


def test_same_key_other_body_is_422(ann: Client) -> None:
    key = str(uuid4())
    post(ann, key)
    body = problem(post(ann, key, value=2), 422, "idempotency-key-reused")
    assert pointers(body) == ["/headers/Idempotency-Key"]


def test_requests_with_one_key_at_the_same_time_make_one_job(ann: Client) -> None:
    key = str(uuid4())
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: post(ann, key), range(32)))
    # One that is still in flight would be a 409; they are answered together instead.
    assert {answer.status_code for answer in answers} <= {200, 202, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code != 409}) == 1


def test_a_batch_is_replayed_too(ann: Client) -> None:
    key = str(uuid4())
    first, again = (post(ann, key, path="/v1/jobs/batch") for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"


def test_keys_are_per_owner(ann: Client, ben: Client) -> None:
    key = str(uuid4())
    assert post(ann, key).json()["id"] != post(ben, key).json()["id"]


def test_a_live_job_of_that_unique_key_is_returned_with_200_and_not_changed(ann: Client) -> None:
    unique = str(uuid4())
    body = {"type": "diagnostics.echo", "payload": {"value": 1}, "delay": 3600, "unique_key": unique}
    first = ann.post("/v1/jobs", json=body)
    again = ann.post("/v1/jobs", json={**body, "priority": 9, "payload": {"value": 2}})
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == first.json()
    shown = ann.get(first.json()["links"]["self"], params={"include": "payload"}).json()
    assert (shown["priority"], shown["payload"]) == (5, {"value": 1})


def test_a_unique_key_is_of_owner_and_type_and_free_after_the_end(ann: Client, ben: Client) -> None:
    unique = str(uuid4())
    first = ann.submit(delay=3600, unique_key=unique)
    assert ben.submit(delay=3600, unique_key=unique)["id"] != first["id"]
    assert ann.submit("diagnostics.noop", delay=3600, unique_key=unique)["id"] != first["id"]
    ann.post(first["links"]["cancel"])
    assert ann.submit(delay=3600, unique_key=unique)["id"] != first["id"]
