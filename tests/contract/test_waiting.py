"""API.md, Waiting in the request: Prefer, async_mode, and POST /v1/run/{type}."""

from __future__ import annotations

from typing import Any

import httpx

from tests.contract.callboard import LONG, Client
from tests.contract.formats import problem

ECHO = {"type": "diagnostics.echo", "payload": {"value": 1}}
SLOW = {"type": "diagnostics.sleep", "payload": {"seconds": 60}}


def submit(client: Client, body: Any, prefer: str | None = None, **params: str) -> httpx.Response:
    return client.post("/v1/jobs", json=body, params=params, headers={} if prefer is None else {"Prefer": prefer})


def test_respond_async_is_the_default(ann: Client) -> None:
    answer = submit(ann, SLOW)
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers
    said = submit(ann, SLOW, "respond-async")
    assert (said.status_code, said.headers["Preference-Applied"]) == (202, "respond-async")
    for job in (answer.json(), said.json()):
        ann.post(job["links"]["cancel"])


def test_wait_n_and_done_within_n_seconds_is_200_with_the_finished_job(ann: Client) -> None:
    answer = submit(ann, ECHO, f"wait={LONG}")
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, f"wait={LONG}")
    assert (answer.json()["status"], answer.json()["result"]) == ("succeeded", {"value": 1})
    assert "Retry-After" not in answer.headers


def test_wait_n_and_not_done_is_202(ann: Client) -> None:
    answer = submit(ann, SLOW, "wait=1")
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "respond-async, wait=1")
    assert answer.json()["done"] is False
    ann.post(answer.json()["links"]["cancel"])


def test_async_mode_false_is_wait_for_the_servers_maximum(ann: Client) -> None:
    answer = submit(ann, ECHO, async_mode="false")
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=60")
    assert answer.json()["status"] == "succeeded"
    clipped = submit(ann, ECHO, "wait=3600")
    assert clipped.headers["Preference-Applied"] == "wait=60"


def test_run_answers_200_with_the_result_alone(ann: Client) -> None:
    answer = ann.post("/v1/run/diagnostics.echo", json={"value": [1, 2]})
    assert (answer.status_code, answer.json()) == (200, {"value": [1, 2]})
    assert answer.headers["Location"].startswith("/v1/jobs/")


def test_run_answers_202_with_the_job(ann: Client) -> None:
    answer = ann.post("/v1/run/diagnostics.sleep", json={"seconds": 60}, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.headers["Location"] == answer.json()["links"]["self"]
    ann.post(answer.json()["links"]["cancel"])


def test_run_takes_the_payload_as_its_body(ann: Client) -> None:
    body = problem(ann.post("/v1/run/diagnostics.sleep", json={"seconds": "soon"}), 422, "invalid-input")
    assert body["errors"][0]["pointer"] == "/seconds"
