"""API.md: every list, and the filters and pages of GET /v1/jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.contract.callboard import Client, Job
from tests.contract.formats import pointers, problem


def listed(client: Client, **params: object) -> list[Job]:
    answer = client.get("/v1/jobs", params=params)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    items: list[Job] = answer.json()["items"]
    return items


@pytest.mark.parametrize("path", ["jobs", "job-types", "queues", "workers"])
def test_every_list_answers_items_and_next_page_token(adam: Client, path: str) -> None:
    page = adam.get(f"/v1/{path}").json()
    assert list(page) == ["items", "next_page_token"]
    assert isinstance(page["items"], list)


def test_live_and_finished_jobs_in_one_list_newest_first(ann: Client) -> None:
    case = str(uuid4())
    first = ann.submit(tags={"list": case})
    second = ann.submit(delay=3600, tags={"list": case})
    third = ann.submit(tags={"list": case})
    for job in (first, third):
        ann.done(job["id"])
    items = listed(ann, tag=f"list:{case}")
    assert [item["id"] for item in items] == [third["id"], second["id"], first["id"]]
    assert [item["done"] for item in items] == [True, False, True]


def test_pages_are_linked_and_have_each_job_once(ann: Client) -> None:
    case = str(uuid4())
    made = [ann.submit(delay=3600, tags={"page": case})["id"] for _ in range(5)]
    seen: list[str] = []
    url = f"/v1/jobs?tag=page:{case}&page_size=2"
    while url:
        answer = ann.get(url)
        token = answer.json()["next_page_token"]
        seen += [item["id"] for item in answer.json()["items"]]
        # A job that comes in between moves no page.
        ann.submit(delay=3600, tags={"page": case})
        assert ("next" in answer.links) == (token is not None)
        url = answer.links["next"]["url"] if token else ""
        assert not token or f"page_token={token}" in url
    assert seen == made[::-1]


def test_filters(ann: Client) -> None:
    case = str(uuid4())
    parent = ann.submit(delay=3600)
    child = ann.submit("diagnostics.noop", delay=3600, tags={"a": case, "b": "x:y"}, parent_id=parent["id"])
    done = ann.done(ann.submit(tags={"a": case})["id"])
    here = {"tag": f"a:{case}"}

    def ids(**params: object) -> list[str]:
        return [item["id"] for item in listed(ann, **here, **params)]

    assert ids() == [done["id"], child["id"]]
    assert ids(status="scheduled") == [child["id"]]
    assert ids(status=["scheduled", "succeeded"]) == [done["id"], child["id"]]
    assert ids(type="diagnostics.noop") == [child["id"]]
    assert ids(queue="diagnostics") == [done["id"], child["id"]]
    assert ids(queue="tables") == []
    assert ids(parent_id=parent["id"]) == [child["id"]]
    assert ids(created_after=done["created_at"]) == [done["id"]]
    assert ids(created_before=done["created_at"]) == [child["id"]]
    assert [item["id"] for item in listed(ann, tag=[f"a:{case}", "b:x:y"])] == [child["id"]]
    assert ids(created_after=(datetime.now(UTC) + timedelta(days=1)).isoformat()) == []


def test_the_owner_filter_is_for_operators(ann: Client, ben: Client, olga: Client) -> None:
    case = str(uuid4())
    job = ann.submit(delay=3600, tags={"owner": case})
    for client, owner, expected in ((olga, "ann", [job["id"]]), (olga, "ben", []), (ben, "ann", [])):
        assert [item["id"] for item in listed(client, tag=f"owner:{case}", owner=owner)] == expected


@pytest.mark.parametrize("size", ["0", "501", "many"])
def test_page_size_is_1_to_500(ann: Client, size: str) -> None:
    body = problem(ann.get("/v1/jobs", params={"page_size": size}), 422, "invalid-input")
    assert pointers(body) == ["/query/page_size"]


@pytest.mark.parametrize("token", ["", "x", "AZqh8FwefTqfQSt8jg1KZbIMfXg", "../../etc/passwd", "\0"])
def test_a_bad_page_token_is_422(ann: Client, token: str) -> None:
    body = problem(ann.get("/v1/jobs", params={"page_token": token}), 422, "invalid-input")
    assert pointers(body) == ["/query/page_token"]
