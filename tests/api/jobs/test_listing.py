from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from callboard.api.openapi import models
from callboard.api.wire.paging import page_token
from callboard.db.rules.ids import created_at_of, new_id
from callboard.db.rules.states import Status
from tests.support.factory import Factory
from tests.support.serving import Served

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]


def listed(api: Served, **params: Any) -> list[UUID]:
    return [UUID(item["id"]) for item in api.get("/v1/jobs", **params)["items"]]


def test_live_and_finished_jobs_are_one_list_newest_first(api: Served, factory: Factory) -> None:
    made = [factory.in_state(status) for status in Status]
    body = api.get("/v1/jobs")
    assert [UUID(item["id"]) for item in body["items"]] == made[::-1]
    assert body["next_page_token"] is None
    for item in body["items"]:
        assert not {"result", "payload"} & set(item)
        models.JobInList.model_validate(item)
    assert api.get("/v1/jobs") == body


def test_pages_follow_each_other_without_gap_or_repeat(api: Served, factory: Factory) -> None:
    states = [Status.QUEUED, Status.SUCCEEDED, Status.FAILED, Status.RUNNING, Status.SCHEDULED, Status.EXPIRED]
    made = [factory.in_state(status, tags=b'{"a": "x y"}') for status in states + states[:1]]
    seen: list[UUID] = []
    url: str | None = "/v1/jobs?page_size=3&tag=a%3Ax+y"
    pages = 0
    while url is not None:
        answer = api.client.get(url)
        seen += [UUID(item["id"]) for item in answer.json()["items"]]
        pages += 1
        factory.submit()  # newer ones do not shift the pages
        token = answer.json()["next_page_token"]
        url = answer.links["next"]["url"] if "next" in answer.links else None
        assert (url is None) is (token is None)
    assert (pages, seen) == (3, made[::-1])


def test_the_total_is_counted_on_demand(api: Served, factory: Factory) -> None:
    for status in (Status.QUEUED, Status.FAILED, Status.SUCCEEDED):
        factory.in_state(status, owner="ann")
    factory.submit(owner="ben")
    assert "total" not in api.get("/v1/jobs")
    first = api.client.get("/v1/jobs", params={"page_size": 2, "total": "true"})
    models.JobPage.model_validate(first.json())
    assert first.json()["total"] == {"count": 4, "more": False}
    assert api.client.get(first.links["next"]["url"]).json()["total"] == {"count": 4, "more": False}
    assert api.get("/v1/jobs", total="true", status="failed")["total"] == {"count": 1, "more": False}
    client = {"x-owner": "ben", "x-role": "client"}
    assert api.client.get("/v1/jobs?total=true", headers=client).json()["total"]["count"] == 1
    assert api.client.get("/v1/jobs?total=true&owner=ann", headers=client).json()["total"]["count"] == 0


def test_a_full_last_page_has_no_next(api: Served, factory: Factory) -> None:
    for _ in range(2):
        factory.submit()
    answer = api.client.get("/v1/jobs", params={"page_size": 2})
    assert answer.json()["next_page_token"] is None
    assert "link" not in answer.headers


def test_filters_narrow_the_list(api: Served, factory: Factory) -> None:
    parent = factory.submit()
    child = factory.submit(parent_id=parent)
    tagged = factory.in_state(Status.FAILED, tags=b'{"case": "1:2", "kind": "a"}')
    half = factory.submit(tags=b'{"case": "1:2"}')
    typed = factory.submit(type="test.typed", queue="orders")
    other = factory.in_state(Status.SUCCEEDED, owner="other")
    everything = [other, typed, half, tagged, child, parent]
    assert listed(api) == everything
    assert listed(api, parent_id=parent) == [child]
    assert listed(api, tag="case:1:2") == [half, tagged]
    assert listed(api, tag=["case:1:2", "kind:a"]) == [tagged]
    assert listed(api, type="test.typed") == [typed]
    assert listed(api, queue="orders") == [typed]
    assert listed(api, owner="other") == [other]
    assert listed(api, status="failed") == [tagged]
    assert listed(api, status=["failed", "succeeded"]) == [other, tagged]
    assert listed(api, status="running") == []
    made_at = created_at_of(half)
    assert listed(api, created_before=made_at.isoformat()) == [i for i in everything if created_at_of(i) < made_at]
    assert listed(api, created_after=made_at.isoformat()) == [i for i in everything if created_at_of(i) >= made_at]
    assert listed(api, created_after=(made_at + timedelta(days=1)).isoformat()) == []


def test_a_client_lists_its_own(api: Served, factory: Factory) -> None:
    mine, _ = factory.submit(owner="me"), factory.submit(owner="else")
    headers = {"x-owner": "me", "x-role": "client"}
    for params, expected in (({}, [mine]), ({"owner": "me"}, [mine]), ({"owner": "else"}, [])):
        items = api.client.get("/v1/jobs", params=params, headers=headers).json()["items"]
        assert [UUID(item["id"]) for item in items] == expected
    for role in ("viewer", "operator", "admin"):
        items = api.client.get("/v1/jobs", headers={"x-owner": "me", "x-role": role}).json()["items"]
        assert len(items) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "asleep"),
        ("page_size", "0"),
        ("page_size", "501"),
        ("page_size", "x"),
        ("page_token", "x"),
        ("page_token", "AAAA"),
        ("page_token", "ü" * 20),
        ("page_token", "A" * 27),
        ("parent_id", "7"),
        ("tag", "nocolon"),
        ("tag", ":value"),
        ("tag", "a:\0"),
        ("type", "\0"),
        ("owner", "a\0"),
        ("queue", "x" * 1001),
        ("created_after", "yesterday"),
        ("created_before", "0001-01-01T00:00:00Z"),
        ("created_before", "2999-01-01T00:00:00"),
    ],
)
def test_a_malformed_parameter_is_pointed_at(api: Served, as_problem: AsProblem, name: str, value: str) -> None:
    errors = as_problem(api.client.get("/v1/jobs", params={name: value}), 422, "invalid-input")["errors"]
    assert errors[0]["pointer"].startswith(f"/query/{name}")


def test_two_values_of_one_tag_are_refused(api: Served, as_problem: AsProblem) -> None:
    as_problem(api.client.get("/v1/jobs", params={"tag": ["a:1", "a:2"]}), 422, "invalid-input")


def test_a_token_of_any_job_is_a_place_in_the_list(api: Served, factory: Factory) -> None:
    made = [factory.submit() for _ in range(3)]
    assert listed(api, page_token=page_token(made[1])) == [made[0]]
    assert listed(api, page_token=page_token(new_id())) == made[::-1]
