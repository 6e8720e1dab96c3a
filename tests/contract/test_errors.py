"""API.md, Errors."""

from __future__ import annotations

import pytest

from tests.contract.callboard import Client
from tests.contract.formats import pointers, problem


def test_a_problem_has_its_members_and_a_type_that_explains_it(ann: Client, nobody: Client) -> None:
    body = problem(ann.get("/v1/jobs/none"), 404, "not-found")
    explained = nobody.get(body["type"])
    assert explained.status_code == 200
    assert explained.json()["code"] == "not-found"
    assert explained.json()["explanation"]


def test_validation_says_where(ann: Client) -> None:
    body = problem(
        ann.post("/v1/jobs", json={"type": "diagnostics.sleep", "payload": {"seconds": "soon", "steps": 0}}),
        422,
        "invalid-input",
    )
    assert pointers(body) == ["/payload/seconds", "/payload/steps"]


def test_unknown_fields_in_a_body_are_an_error(ann: Client) -> None:
    body = {"type": "diagnostics.echo", "payload": {}, "prioritty": 1}
    assert pointers(problem(ann.post("/v1/jobs", json=body), 422, "invalid-input")) == ["/prioritty"]
    job = ann.submit(delay=3600)
    assert pointers(problem(ann.patch(job["links"]["self"], json={"queue": "x"}), 422, "invalid-input")) == ["/queue"]


def test_an_unknown_type(ann: Client) -> None:
    body = problem(ann.post("/v1/jobs", json={"type": "nothing", "payload": {}}), 422, "unknown-job-type")
    assert pointers(body) == ["/type"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"type": "\xff"}', b"[" * 10_000])
def test_what_is_not_json_is_400(ann: Client, content: bytes) -> None:
    answer = ann.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})
    problem(answer, 400, "malformed-body")


def test_another_media_type_is_415(ann: Client) -> None:
    problem(ann.post("/v1/jobs", data={"type": "diagnostics.echo"}), 415, "unsupported-media-type")


def test_another_method_is_405_with_allow(ann: Client) -> None:
    answer = ann.put("/v1/jobs/batch")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == "POST"
    problem(ann.get("/v1/jobs/batch"), 405, "method-not-allowed")
    assert ann.put(ann.submit(delay=3600)["links"]["self"]).headers["Allow"] == "DELETE, GET, HEAD, PATCH"


def test_an_unknown_path_is_404(ann: Client) -> None:
    problem(ann.get("/v2/jobs"), 404, "not-found")


def test_x_request_id_is_taken_or_made_and_echoed(ann: Client) -> None:
    assert ann.get("/v1/jobs", headers={"X-Request-ID": "order-123"}).headers["X-Request-ID"] == "order-123"
    made = [ann.get("/v1/jobs/none").headers["X-Request-ID"] for _ in range(2)]
    assert made[0] != made[1]
    assert ann.get("/v1/jobs", headers={"X-Request-ID": "no spaces"}).headers["X-Request-ID"] != "no spaces"
