"""Queries with parameters that an operation does not have, or that are given too often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support.serving import Served

Problem = Callable[[httpx.Response, int, str], dict[str, Any]]
JOB = "019aa1f0-7c00-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("url", "name", "says"),
    [
        ("/v1/jobs?status[]=failed", "status[]", "Did you mean status? There are created_after, "),
        ("/v1/jobs?stauts=failed", "stauts", "Did you mean status?"),
        ("/v1/jobs?limit=5", "limit", "page_size, page_token, "),
        ("/v1/jobs?Type=a", "Type", "Did you mean type?"),
        ("/v1/jobs?=", "", "There are "),
        ("/v1/history/export?from=2026-11-01T00:00:00Z", "from", "here. There are created_after, created_before, "),
        ("/v1/history/summary?created_after=2026-11-01T00:00:00Z", "created_after", "from, group_by, "),
        (f"/v1/jobs/{JOB}?waits=1", "waits", "Did you mean wait?"),
        (f"/v1/jobs/{JOB}/result?consumed=true", "consumed", "Did you mean consume?"),
        ("/livez?a/b=1", "a~1b", "This operation has none."),
    ],
)
def test_an_unknown_parameter_is_named_with_those_there_are(
    api: Served, as_problem: Problem, url: str, name: str, says: str
) -> None:
    body = as_problem(api.client.get(url), 422, "invalid-input")
    assert [error["pointer"] for error in body["errors"]] == [f"/query/{name}"]
    assert says in body["errors"][0]["detail"]
    assert body["detail"] == body["errors"][0]["detail"]


def test_submissions_and_their_values_too(api: Served, as_problem: Problem) -> None:
    submission = {"type": "test.job", "payload": {}}
    answer = api.client.post("/v1/jobs?async=cb_live_secret&asyncmode=true", json=submission)
    body = as_problem(answer, 422, "invalid-input")
    assert [error["pointer"] for error in body["errors"]] == ["/query/async", "/query/asyncmode"]
    assert "secret" not in answer.text, "values are not repeated"
    assert api.get("/v1/jobs")["items"] == []


@pytest.mark.parametrize("url", ["/v1/jobs?type=a&type=b", "/v1/history/export?format=csv&format=csv"])
def test_a_parameter_is_given_once(api: Served, as_problem: Problem, url: str) -> None:
    body = as_problem(api.client.get(url), 422, "invalid-input")
    assert "is given 2 times" in body["errors"][0]["detail"]


def test_repeatable_parameters_are_not_refused(api: Served) -> None:
    api.get("/v1/jobs", status=["failed", "queued"], tag=["a:b", "c:d"])
    api.get("/v1/jobs?")


def test_every_operation_refuses_them(api: Served) -> None:
    document = api.get("/openapi.json")
    for path, operations in document["paths"].items():
        for method in operations:
            url = path.replace("{job_id}", JOB).replace("{", "").replace("}", "")
            answer = api.client.request(method, f"{url}?no_such=1")
            assert answer.status_code == 422, (method, path, answer.text)
            assert answer.json()["errors"][0]["pointer"] == "/query/no_such"


def test_pages_and_scripts_may_have_a_mark_against_caches(api: Served) -> None:
    assert api.client.get("/callboard.js?v=2").status_code == 200
    assert api.client.get("/docs?x").status_code == 200
