"""``POST /v1/run/{type}``, and results that are consumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import BaseModel

from callboard.actors.types.registry import Registry, job
from callboard.api.app import create_app
from callboard.db.rules.outcome import Outcome
from callboard.db.rules.states import Status
from callboard.db.settings import Settings
from tests.support.factory import ERROR, Factory
from tests.support.serving import caller_of_headers, serving
from tests.support.until import until

REGISTRY = Registry()


class Numbers(BaseModel):
    of: list[int]


@job("sum.up", into=REGISTRY)
def sum_up(payload: Numbers) -> int:
    return sum(payload.of)


@job("/api/v1/sum", into=REGISTRY)
def sum_at_a_path(payload: Numbers) -> int:
    return sum(payload.of)


@pytest.fixture
def http(settings: Settings) -> Iterator[httpx.Client]:
    with serving(create_app(settings, REGISTRY, authenticate=caller_of_headers)) as served:
        yield served.client


@pytest.fixture
def workers(http: httpx.Client, factory: Factory) -> Iterator[Callable[[str, Outcome], None]]:
    """Ends the job of that type that is submitted next, while the test's own request waits for it."""
    with ThreadPoolExecutor(1) as threads:
        ended = []

        def end(job_type: str, outcome: Outcome) -> None:
            query = {"type": job_type, "status": "queued"}
            jobs = until(lambda: http.get("/v1/jobs", params=query).json()["items"], what=f"a job {job_type} is queued")
            factory.end(factory.claim(UUID(jobs[0]["id"])), outcome)

        yield lambda job_type, outcome: ended.append(threads.submit(end, job_type, outcome))
        for future in ended:
            future.result()


Workers = Callable[[str, Outcome], None]


def test_it_answers_with_the_result_alone(http: httpx.Client, workers: Workers) -> None:
    workers("sum.up", Outcome.succeed(b"6"))
    answer = http.post("/v1/run/sum.up", json={"of": [1, 2, 3]})
    assert (answer.status_code, answer.json()) == (200, 6)
    assert http.get(answer.headers["Location"]).json()["status"] == "succeeded"
    assert "ETag" not in answer.headers


def test_a_result_that_is_null_is_a_result(http: httpx.Client, workers: Workers) -> None:
    workers("sum.up", Outcome.succeed(b"null"))
    answer = http.post("/v1/run/sum.up", json={"of": []})
    assert (answer.status_code, answer.json()) == (200, None)


def test_it_answers_with_the_job_when_that_is_not_done_in_time(http: httpx.Client) -> None:
    answer = http.post("/v1/run/sum.up", json={"of": [1]}, headers={"Prefer": "wait=1"})
    shown = answer.json()
    assert (answer.status_code, shown["status"], shown["done"]) == (202, "queued", False)
    assert answer.headers["Location"] == shown["links"]["self"]
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Preference-Applied"] == "respond-async, wait=1"
    assert http.get(shown["links"]["self"], params={"include": "payload"}).json()["payload"] == {"of": [1]}


@pytest.mark.parametrize("how", [{"headers": {"Prefer": "respond-async"}}, {"params": {"async_mode": "true"}}])
def test_it_does_not_wait_when_told_so(http: httpx.Client, how: dict[str, Any]) -> None:
    answer = http.post("/v1/run/sum.up", json={"of": [1]}, **how)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert answer.headers["Preference-Applied"] == "respond-async"


def test_a_job_that_does_not_succeed_is_a_problem_with_its_error(http: httpx.Client, workers: Workers) -> None:
    workers("sum.up", Outcome.fail(ERROR))
    answer = http.post("/v1/run/sum.up", json={"of": [1]})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "unsuccessful")
    assert problem["error"]["message"] == ERROR.message


@pytest.mark.parametrize("path", ["/v1/run//api/v1/sum", "/v1/run/%2Fapi%2Fv1%2Fsum", "/v1/run/api/v1/sum"])
def test_a_type_with_slashes_also_behind_a_proxy_that_merges_them(http: httpx.Client, path: str) -> None:
    answer = http.post(path, json={"of": [1]}, params={"async_mode": "true"})
    assert (answer.status_code, answer.json()["type"]) == (202, "/api/v1/sum")


def test_an_unknown_type_is_not_found(http: httpx.Client) -> None:
    answer = http.post("/v1/run/sum.pu", json={})
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert "'sum.up'" in answer.json()["detail"]


def test_pointers_lead_into_the_payload(http: httpx.Client) -> None:
    answer = http.post("/v1/run/sum.up", json={"of": [1, "two"]})
    assert answer.status_code == 422
    assert [item["pointer"] for item in answer.json()["errors"]] == ["/of/1"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed-body"),
        (b"", 400, "malformed-body"),
        (rb'{"of": ["\u0000"]}', 422, "invalid-input"),
        (b'{"of": [1e999]}', 422, "invalid-input"),
        (b"[" * 10_000, 400, "malformed-body"),
    ],
)
def test_bodies_that_are_no_payload(http: httpx.Client, body: bytes, status: int, code: str) -> None:
    answer = http.post("/v1/run/sum.up", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_same_key_runs_once(http: httpx.Client, workers: Workers) -> None:
    headers = {"Idempotency-Key": "k1"}
    workers("sum.up", Outcome.succeed(b"1"))
    first = http.post("/v1/run/sum.up", json={"of": [1]}, headers=headers)
    again = http.post("/v1/run/sum.up", json={"of": [1]}, headers=headers)
    assert (again.status_code, again.json(), again.headers["Idempotency-Replayed"]) == (200, 1, "true")
    assert again.headers["Location"] == first.headers["Location"]
    other = http.post("/v1/run/sum.up", json={"of": [2]}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


def test_a_consumed_result_is_sent_once(http: httpx.Client, factory: Factory) -> None:
    path = f"/v1/jobs/{factory.in_state(Status.SUCCEEDED)}"
    assert http.get(f"{path}/result").json() == {"answer": 42}
    consumed = http.get(f"{path}/result", params={"consume": "true"})
    assert (consumed.status_code, consumed.json()) == (200, {"answer": 42})
    again = http.get(f"{path}/result")
    assert (again.status_code, again.json()["code"]) == (410, "result-erased")
    shown = http.get(path, params={"include": "payload"}).json()
    assert (shown["status"], shown["result"], shown["payload"]) == ("succeeded", None, None)


def test_only_a_result_can_be_consumed(http: httpx.Client, factory: Factory) -> None:
    running = factory.in_state(Status.QUEUED)
    failed = factory.in_state(Status.FAILED)
    for job_id, code in ((running, "not-done"), (failed, "unsuccessful")):
        answer = http.get(f"/v1/jobs/{job_id}/result", params={"consume": "true"})
        assert (answer.status_code, answer.json()["code"]) == (409, code)
        assert http.get(f"/v1/jobs/{job_id}", params={"include": "payload"}).json()["payload"] == {"n": 1}


def test_a_reader_of_all_may_not_consume(http: httpx.Client, factory: Factory) -> None:
    path = f"/v1/jobs/{factory.in_state(Status.SUCCEEDED, owner='bob')}/result"
    assert http.get(path, headers={"x-role": "client"}).status_code == 404
    viewer = {"x-role": "viewer"}
    assert http.get(path, params={"consume": "true"}, headers=viewer).status_code == 403
    assert http.get(path, headers=viewer).status_code == 200
