"""Batches that are read in parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.serving import Served

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]
Serve = Callable[..., Served]
JSON = {"content-type": "application/json"}
JOB = {"type": "test.job", "payload": {"n": 1}}
MEGABYTE = 2**20


def post(client: httpx.Client, content: bytes) -> httpx.Response:
    return client.post("/v1/jobs/batch", content=content, headers=JSON)


def test_ten_thousand_jobs_are_stored_in_their_order(api: Served) -> None:
    jobs = [{**JOB, "payload": number} for number in range(10_000)]
    answer = post(api.client, json.dumps({"jobs": jobs}).encode())
    assert answer.status_code == 202, answer.text
    ids = answer.json()["ids"]
    assert len(set(ids)) == 10_000
    for number in (0, 499, 500, 501, 9_999):
        assert api.get(f"/v1/jobs/{ids[number]}", include="payload")["payload"] == number


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"priority": 10}, "/priority"),
        ({"queue": "nowhere"}, "/queue"),
        ({"payload": "a\0b"}, "/payload"),
        ({"type": "test.typed", "payload": {"customer": 1}}, "/payload/customer"),
        ({"jobs": [1]}, "/jobs"),
    ],
)
def test_a_finding_in_a_later_part_is_pointed_at(
    client: httpx.Client, as_problem: AsProblem, wrong: dict[str, Any], pointer: str
) -> None:
    jobs = [*[JOB] * 1_700, {**JOB, **wrong}, *[JOB] * 10]
    body = as_problem(post(client, json.dumps({"jobs": jobs}).encode()), 422, "invalid-input")
    assert [error["pointer"] for error in body["errors"]] == [f"/jobs/1700{pointer}"]


def test_text_that_is_not_json_is_refused_wherever_it_is(client: httpx.Client, as_problem: AsProblem) -> None:
    good = json.dumps([JOB] * 1_700).encode()[1:-1]
    body = as_problem(post(client, b'{"jobs": [' + good + b", {nonsense}]}"), 400, "malformed-body")
    assert "from job 1500 on" in body["detail"]


def test_a_hundred_findings_are_enough(client: httpx.Client, as_problem: AsProblem) -> None:
    body = as_problem(post(client, json.dumps({"jobs": [{}] * 10_000}).encode()), 422, "invalid-input")
    assert len(body["errors"]) == 100


def test_a_batch_of_millions_is_refused_for_their_number(client: httpx.Client, as_problem: AsProblem) -> None:
    content = b'{"jobs": [' + b",".join([b"{}"] * 5_000_000) + b"]}"
    assert "more than 10000 jobs" in as_problem(post(client, content), 422, "invalid-input")["detail"]


def test_a_large_body_must_be_a_batch(client: httpx.Client, as_problem: AsProblem) -> None:
    as_problem(post(client, b'{"other": "' + b"x" * MEGABYTE + b'"}'), 422, "invalid-input")
    as_problem(post(client, b'{"other": 1}'), 422, "invalid-input")
    as_problem(post(client, b"{}"), 422, "invalid-input")
    as_problem(post(client, b'{"jobs": []}'), 422, "invalid-input")
    as_problem(post(client, b'{"jobs": [], "jobs": []}'), 422, "invalid-input")


def test_the_name_may_be_escaped(client: httpx.Client, as_problem: AsProblem, serve: Serve) -> None:
    content = b'{"\\u006aobs": [' + b",".join([json.dumps(JOB).encode()] * 3) + b"]}"
    assert post(client, content).status_code == 202
    as_problem(post(serve(max_batch_jobs=2).client, content), 422, "invalid-input")


def test_a_payload_says_in_a_batch_too_that_it_is_too_large(client: httpx.Client, as_problem: AsProblem) -> None:
    for size in (MEGABYTE, 8 * MEGABYTE):
        jobs = [JOB, {**JOB, "payload": "x" * size}]
        detail = as_problem(post(client, json.dumps({"jobs": jobs}).encode()), 413, "too-large")["detail"]
        assert detail.startswith("Job 1 of the batch")


def test_escaped_letters_may_fill_a_payload(client: httpx.Client) -> None:
    # In UTF-8 this is a megabyte, in the request three.
    text = "ü" * (MEGABYTE // 2 - 1)
    assert client.post("/v1/jobs", content=json.dumps({**JOB, "payload": text}), headers=JSON).status_code == 202


def test_a_body_that_no_job_can_have_is_refused_unread(client: httpx.Client, as_problem: AsProblem) -> None:
    content = json.dumps({**JOB, "payload": " " * 5 * MEGABYTE}).encode()
    as_problem(client.post("/v1/jobs", content=content, headers=JSON), 413, "too-large")
    as_problem(client.post("/v1/run/test.job", content=content, headers=JSON), 413, "too-large")


def test_too_many_values_are_refused(client: httpx.Client, as_problem: AsProblem) -> None:
    content = json.dumps({**JOB, "payload": [{}] * 150_000}).encode()
    assert (
        "100000 values"
        in as_problem(client.post("/v1/jobs", content=content, headers=JSON), 413, "too-large")["detail"]
    )
    assert "100000 values" in as_problem(post(client, b'{"jobs": [%b]}' % content), 413, "too-large")["detail"]


def test_in_a_large_payload_the_first_wrong_element_is_pointed_at(client: httpx.Client, as_problem: AsProblem) -> None:
    items: list[dict[str, Any]] = [{"name": "a"}] * 5_000 + [{"name": 1}] * 5_000
    body = {"type": "test.typed", "payload": {"customer": "x", "items": items}}
    errors = as_problem(client.post("/v1/jobs", json=body), 422, "invalid-input")["errors"]
    assert [error["pointer"] for error in errors] == ["/payload/items/5000/name"]
