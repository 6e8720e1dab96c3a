"""API.md, Who may."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.contract.callboard import Callboard, Client
from tests.contract.formats import problem

KEY = re.compile(r"cb_([a-z0-9]+)_([A-Za-z0-9]+)_([A-Za-z0-9]+)")


def test_keys_have_their_form(callboard: Callboard) -> None:
    match = KEY.fullmatch(callboard.keys["ann"])
    assert match is not None
    assert match[1] == "live"


def test_only_key_id_and_sha_256_are_stored(callboard: Callboard) -> None:
    match = KEY.fullmatch(callboard.keys["ann"])
    assert match is not None
    (row,) = callboard.system.rows("SELECT * FROM api_keys WHERE key_id = %s", match[2])
    assert match[3] not in str(row)
    assert len(row["secret_sha256"]) == 32


def test_without_a_key_it_is_401_and_says_how(nobody: Client) -> None:
    answer = nobody.get("/v1/jobs")
    problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("change", [lambda key: key[:-1], lambda key: key + "x", lambda key: key.replace("_", "-")])
def test_a_wrong_key_is_401(nobody: Client, callboard: Callboard, change: Any) -> None:
    headers = {"Authorization": f"Bearer {change(callboard.keys['ann'])}"}
    answer = nobody.get("/v1/jobs", headers=headers)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert callboard.keys["ann"][:-1] not in answer.text


def test_a_job_that_is_not_yours_is_404(ann: Client, ben: Client) -> None:
    job = ann.submit(delay=3600)
    itself = job["links"]["self"]
    for method, path in [
        ("GET", itself),
        ("GET", job["links"]["result"]),
        ("GET", job["links"]["events"]),
        ("GET", job["links"]["attempts"]),
        ("POST", job["links"]["cancel"]),
        ("POST", f"{itself}/retry"),
        ("PATCH", itself),
        ("DELETE", itself),
    ]:
        problem(ben.request(method, path, json={"priority": 9} if method == "PATCH" else None), 404, "not-found")
    assert all(item["owner"] == "ben" for item in ben.get("/v1/jobs").json()["items"])


def test_a_viewer_reads_all_and_changes_nothing(ann: Client, vera: Client) -> None:
    job = ann.submit(delay=3600)
    assert vera.get(job["links"]["self"]).status_code == 200
    problem(vera.post(job["links"]["cancel"]), 403, "forbidden")
    problem(vera.post("/v1/jobs", json={"type": "diagnostics.noop", "payload": {}}), 403, "forbidden")


def test_a_client_that_shares_an_operator_s_owner_does_not_have_its_power(callboard: Callboard, olga: Client) -> None:
    client = callboard.client("olga's client")
    body = {"action": "cancel", "filter": {"type": "no.such"}}
    bulk = olga.done(olga.post("/v1/jobs/bulk", json=body).json()["id"])
    itself = bulk["links"]["self"]
    assert client.get(itself).status_code == 200
    problem(client.post(f"{itself}/retry"), 403, "forbidden")
    problem(client.delete(itself), 403, "forbidden")
    problem(client.post("/v1/jobs/bulk", json=body), 403, "forbidden")
    problem(client.post("/v1/jobs", json={"type": "diagnostics.crash", "payload": {}}), 403, "forbidden")
    problem(client.post("/v1/jobs", json={"type": "callboard.bulk", "payload": {}}), 422, "unknown-job-type")
    own_queue = {"type": "diagnostics.noop", "payload": {}, "queue": "callboard"}
    problem(client.post("/v1/jobs", json=own_queue), 422, "invalid-input")


def test_an_operator_acts_on_all(ann: Client, olga: Client) -> None:
    job = ann.submit(delay=3600)
    assert olga.post(job["links"]["cancel"]).status_code == 202
