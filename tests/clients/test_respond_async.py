"""Endpoints of an application of one's own as jobs, and handlers by import path, against a running system."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from callboard import Client
from callboard.client import InvalidRequest, Job, NotFound, Unsuccessful

ORDER = {"customerName": "Ada", "lines": [{"article": "tea", "price": "3.50"}, {"article": "milk"}]}
BUILD = "tests.clients.shop.build_report"


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


def job_of(response: httpx.Response) -> Job:
    assert response.status_code == 202, response.text
    return Job.model_validate(response.json())


@pytest.mark.parametrize(
    ("method", "path", "request_"),
    [
        ("POST", "/reports/north", {"json": ORDER}),
        (
            "POST",
            "/reports/south?max=3&years=2024&years=2025",
            {"json": {**ORDER, "due": "2026-12-24"}, "headers": {"X-Case": "7", "X-User": "Grace"}},
        ),
        ("PATCH", "/team/members/7", {"json": {"fields": {"a": [1, None]}}}),
        ("GET", "/plain", {}),
    ],
)
def test_the_result_is_what_the_body_would_be(
    shop: httpx.Client, client: Client, method: str, path: str, request_: dict[str, Any]
) -> None:
    inline = shop.request(method, path, **request_)
    assert inline.is_success, inline.text
    headers = {**request_.pop("headers", {}), "Prefer": "respond-async"}
    response = shop.request(method, path, headers=headers, **request_)
    job = job_of(response)
    assert client.wait(job.id).status == "succeeded"
    assert client.result(job.id) == inline.json()
    assert response.headers["Location"] == job.links.self == f"{client.address}/v1/jobs/{job.id}"
    assert response.headers["Retry-After"] == "1"
    assert response.headers["Preference-Applied"] == "respond-async"
    assert httpx.get(job.links.result).json() == inline.json()


def test_the_202_is_that_of_callboard(shop: httpx.Client, client: Client) -> None:
    response = shop.get("/plain", headers={"Prefer": "respond-async"})
    own = httpx.post(f"{client.address}/v1/jobs", json={"type": "tests.clients.shop.plain", "payload": {}})
    assert own.status_code == response.status_code == 202
    ours, theirs = response.json(), own.json()
    assert list(ours) == list(theirs)
    assert {name: type(value) for name, value in ours.items()} == {name: type(value) for name, value in theirs.items()}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", ours["created_at"])
    assert {"location", "retry-after", "etag"} <= {*response.headers} & {*own.headers}


def test_it_says_what_it_was_called_with(shop: httpx.Client, client: Client) -> None:
    response = shop.post("/reports/north", params={"async_mode": "true"}, json=ORDER, headers={"X-User": "Ada"})
    result = client.result(client.wait(job_of(response).id).id)
    assert result["seen"]["session"] == "open=True"
    assert result["seen"]["user"] == "User(name='Ada')"
    # What was not sent is not set in the worker either.
    assert result["seen"]["order"] == {
        "customer": "Ada",
        "lines": [{"article": "tea", "price": "3.50"}, {"article": "milk"}],
    }
    assert "secret" not in result
    assert "Preference-Applied" not in response.headers


@pytest.mark.parametrize(
    ("params", "headers", "status"),
    [
        ({}, {}, 201),
        ({"async_mode": "false"}, {"Prefer": "respond-async"}, 201),
        ({}, {"Prefer": "wait=5"}, 201),
        ({"async_mode": "1"}, {}, 202),
        ({}, {"Prefer": 'wait=5, respond-async; x="y"'}, 202),
        ({"async_mode": "perhaps"}, {}, 422),
    ],
)
def test_who_asks_for_a_job(shop: httpx.Client, params: dict[str, str], headers: dict[str, str], status: int) -> None:
    assert shop.get("/plain", params=params, headers=headers).status_code == status


def test_a_request_that_does_not_fit_is_refused_as_before(shop: httpx.Client) -> None:
    inline = shop.post("/reports/west?max=0", json={})
    asked = shop.post("/reports/west?max=0&async_mode=true", json={})
    assert inline.status_code == 422
    assert asked.json() == inline.json()


def test_a_refusal_of_the_endpoint_is_not_tried_again(shop: httpx.Client, client: Client) -> None:
    headers = {"Prefer": "respond-async"}
    for response, message in (
        (shop.patch("/team/members/404", json={"fields": {}}, headers=headers), "404: No such member."),
        (shop.get("/plain?kind=gone", headers=headers), '410: {"why":"gone"}'),
    ):
        job = client.wait(job_of(response).id)
        assert job.error is not None
        assert (job.status, job.attempt, job.error.type) == ("failed", 1, "HTTPClientError")
        assert job.error.message == message


def test_a_failure_that_may_pass_is_tried_again(shop: httpx.Client, client: Client) -> None:
    response = shop.patch("/team/members/503", json={"fields": {}}, headers={"Prefer": "respond-async"})
    job = client.wait(job_of(response).id)
    assert job.error is not None
    assert (job.status, job.attempt, job.error.message) == ("failed", 2, "503: The directory is away.")


def test_what_is_submitted_past_the_endpoint_is_held_to_its_constraints(client: Client, shop: httpx.Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.submit(BUILD, {"region": "north", "order": ORDER, "user": {"name": "Ada"}, "limit": 0})
    assert [error.pointer for error in caught.value.errors] == ["/payload/limit"]


def test_a_handler_by_import_path(client: Client) -> None:
    payload = {"text": "abc", "patterns": ["a", "x", "c"], "limit": 1}
    job = client.submit("/api/v1/extract", payload)
    assert (job.type, job.queue) == ("/api/v1/extract", "shop")
    assert client.result(client.wait(job.id).id) == ["a"]
    assert client.run("/api/v1/extract", {"text": "abc"}, list[str]) == ["a"]
    assert client.run("/api/v1/shout", {"text": "abc"}, str) == "ABC"


def test_a_handler_s_payload_is_validated_by_its_annotations(client: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.submit("/api/v1/extract", {"text": 1, "pattern": []})
    assert sorted(error.pointer for error in caught.value.errors) == ["/payload/pattern", "/payload/text"]


def test_a_handler_that_refuses_is_not_tried_again(client: Client) -> None:
    job = client.wait(client.submit("/api/v1/extract", {"text": ""}).id)
    with pytest.raises(Unsuccessful) as caught:
        client.result(job.id)
    assert caught.value.error is not None
    assert caught.value.error["message"] == "422: Nothing to look at."
    assert caught.value.error["attempt"] == 1


def test_only_what_is_registered_runs(client: Client) -> None:
    for name in ("tests.clients.shop:shout", "os:getcwd"):
        with pytest.raises(InvalidRequest, match="no job type"):
            client.submit(name, {})
        with pytest.raises(NotFound, match="no job type"):
            client.run(name, {})


@pytest.mark.parametrize("path", ["/api/v1/extract", "%2Fapi%2Fv1%2Fextract", "api/v1/extract"])
def test_a_type_with_slashes_is_described(url: str, client: Client, path: str) -> None:
    shown = httpx.get(f"{url}/v1/job-types/{path}").json()
    assert shown["name"] == "/api/v1/extract"
    assert shown["description"] == "Find texts."
    assert set(shown["payload_schema"]["properties"]) == {"text", "patterns", "limit"}
    assert shown["result_schema"]["type"] == "array"


def test_the_type_of_an_endpoint_describes_its_answer(url: str, client: Client) -> None:
    shown = httpx.get(f"{url}/v1/job-types/{BUILD}").json()
    assert shown["description"] == "Build a report."
    assert "session" not in shown["payload_schema"]["properties"]
    assert "seen" in shown["result_schema"]["properties"]


def test_its_openapi_document_tells(shop: httpx.Client) -> None:
    paths = shop.get("/openapi.json").json()["paths"]
    for path, method in (("/reports/{region}", "post"), ("/team/members/{member_id}", "patch"), ("/plain", "get")):
        operation = paths[path][method]
        assert operation["responses"]["202"]["content"]["application/json"]["schema"]["$ref"].endswith("/Job")
        assert "503" in operation["responses"]
        names = [parameter["name"] for parameter in operation["parameters"]]
        assert names[-2:] == ["async_mode", "Prefer"]
        assert not [name for name in names if "callboard" in name]
