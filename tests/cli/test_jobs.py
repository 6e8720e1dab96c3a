from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

ID = "019aa1f0-0000-7000-8000-000000000001"


def query(asked: Any) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(asked.path).query)


def test_filters_reach_the_request(run: Any, script: Any, response: Any) -> None:
    script.will(response({"items": [], "next_page_token": None}))
    ran = run(
        *("jobs", "list", "--status", "failed", "--status", "expired", "--type", "table.analyze", "--queue", "tables"),
        *("--owner", "billing", "--tag", "case=1:2", "--limit", "7", "--parent-id", ID),
        *("--created-after", "2030-01-31T09:00:00+02:00", "--created-before", "2030-02-01T00:00:00Z"),
    )
    assert (ran.code, ran.out, ran.err) == (0, "", "No jobs.\n")
    assert query(script.asked[0]) == [
        ("status", "failed"),
        ("status", "expired"),
        ("type", "table.analyze"),
        ("queue", "tables"),
        ("owner", "billing"),
        ("tag", "case:1:2"),
        ("created_after", "2030-01-31T07:00:00+00:00"),
        ("created_before", "2030-02-01T00:00:00+00:00"),
        ("parent_id", ID),
        ("page_size", "7"),
    ]


def test_a_list_takes_as_many_pages_as_its_limit_needs(run: Any, script: Any, response: Any, job: Any) -> None:
    script.will(
        response({"items": [job()] * 500, "next_page_token": "p2"}),
        response({"items": [job()] * 100, "next_page_token": "p3"}),
    )
    ran = run("jobs", "list", "--limit", "600", "--json")
    assert ran.code == 0
    listed = json.loads(ran.out)
    assert len(listed["items"]) == 600
    assert listed["next_page_token"] == "p3"
    assert [query(asked) for asked in script.asked] == [
        [("page_size", "500")],
        [("page_size", "100"), ("page_token", "p2")],
    ]


def test_a_list_says_how_to_go_on(run: Any, script: Any, response: Any, job: Any) -> None:
    script.will(response({"items": [job()], "next_page_token": "p2"}))
    ran = run("jobs", "list", "--limit", "1")
    assert ID in ran.out
    assert "--page-token p2" in ran.err


def test_show_joins_job_payload_and_attempts(run: Any, script: Any, response: Any, job: Any) -> None:
    shown = job("succeeded", payload={"value": 1}, result={"value": 1})
    attempt = {
        "attempt": 1, "outcome": "succeeded", "worker": "host-1.4711", "error": None, "trace_id": "of a later version",
        "started_at": shown["started_at"], "finished_at": shown["finished_at"],
    }  # fmt: skip
    script.will(*[response(shown), response({"items": [attempt], "next_page_token": None})] * 2)
    ran = run("jobs", "show", ID, "--json")
    assert json.loads(ran.out) == {**shown, "attempts": [attempt]}
    assert [asked.path for asked in script.asked] == [f"/v1/jobs/{ID}?include=payload", f"/v1/jobs/{ID}/attempts"]
    assert "host-1.4711" in run("jobs", "show", ID).out


@pytest.mark.parametrize(
    ("status", "said"), [("cancelled", f"{ID} cancelled\n"), ("running", f"{ID} is about to stop\n")]
)
def test_cancel(run: Any, script: Any, response: Any, job: Any, status: str, said: str) -> None:
    script.will(response(job(status), 202))
    ran = run("jobs", "cancel", ID)
    assert (ran.code, ran.out) == (0, said)
    assert (script.asked[0].method, script.asked[0].path) == ("POST", f"/v1/jobs/{ID}/cancel")


def test_retry(run: Any, script: Any, response: Any, job: Any) -> None:
    script.will(response(job("queued"), 202))
    assert run("jobs", "retry", ID).out == f"{ID} queued\n"


QUEUE = {
    "name": "tables", "waiting": 0, "running": 2, "oldest_waiting_age": None, "throughput": 1, "paused": False,
    "limits": {"dispatch_window": None, "concurrency_limit": 3, "rate_limit": None, "rate_period": None},
}  # fmt: skip
WORKER = {
    "id": ID, "name": "host-1.4711", "state": "running", "host": "host-1", "pid": 4711, "version": "0.1.0",
    "queues": ["a", "b"], "threads": 8, "running": 1, "jobs": [ID],
    "started_at": "2026-01-02T03:04:05.000Z", "last_seen_at": "2026-01-02T03:04:05.000Z",
}  # fmt: skip


@pytest.mark.parametrize(("name", "item"), [("queues", QUEUE), ("workers", WORKER)])
def test_queues_and_workers(run: Any, script: Any, response: Any, name: str, item: dict[str, Any]) -> None:
    page = response({"items": [item], "next_page_token": None})
    script.will(page, page, response({"items": [], "next_page_token": None}))
    ran = run(name, COLUMNS="240")
    assert ran.code == 0
    header = ran.out.splitlines()[0]
    assert all(field.removesuffix("_at").replace("_", " ") in header for field in item)
    assert json.loads(run(name, "--json").out) == {"items": [item]}
    assert run(name).err == f"No {name}.\n"


def test_workers_were_seen_some_time_ago(run: Any, script: Any, response: Any) -> None:
    script.will(response({"items": [WORKER], "next_page_token": None}))
    ran = run("workers", COLUMNS="240")
    assert "last seen" in ran.out
    assert "ago" in ran.out


@pytest.mark.parametrize("command", [("jobs", "list"), ("submit", "x")])
def test_a_tag_has_one_value(run: Any, script: Any, command: tuple[str, ...]) -> None:
    ran = run(*command, "--tag", "case=1", "--tag", "case=2", COLUMNS="200")
    assert (ran.code, script.asked) == (2, [])
    assert "'case' has two values, '1' and '2'" in ran.err


def test_an_id_that_is_none_is_wrong_usage(run: Any, script: Any) -> None:
    ran = run("jobs", "show", "../queues")
    assert (ran.code, script.asked) == (2, [])
