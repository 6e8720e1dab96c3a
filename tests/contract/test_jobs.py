"""API.md, Jobs: one part for each line of the table, in its order."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.contract.callboard import LONG, Client
from tests.contract.formats import JOB_FIELDS, is_job_id, is_time, pointers, problem

ECHO: dict[str, Any] = {"type": "diagnostics.echo", "payload": {"value": 1}}

# --- POST /v1/jobs ---


def test_submit_answers_202_location_retry_after_and_the_job(ann: Client) -> None:
    answer = ann.post("/v1/jobs", json=ECHO)
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Content-Type"] == "application/json"
    assert list(job) == JOB_FIELDS


def test_submit_takes_every_field(ann: Client) -> None:
    parent = ann.submit(delay=3600)
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    late = (datetime.now(UTC) + timedelta(hours=2)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    job = ann.submit(
        "diagnostics.echo",
        {"value": 1},
        queue="tables",
        priority=9,
        scheduled_at=soon,
        expires_at=late,
        time_limit=12.5,
        max_retries=1,
        tags={"case": "123"},
        unique_key=str(uuid4()),
        parent_id=parent["id"],
    )
    assert (job["queue"], job["priority"], job["time_limit"], job["max_retries"]) == ("tables", 9, 12.5, 1)
    assert (job["scheduled_at"], job["expires_at"], job["tags"]) == (soon, late, {"case": "123"})
    assert job["parent_id"] == parent["id"]
    assert job["status"] == "scheduled"


def test_delay_is_in_seconds(ann: Client) -> None:
    job = ann.submit(delay=100)
    made, due = (datetime.fromisoformat(job[name]) for name in ("created_at", "scheduled_at"))
    assert 95 < (due - made).total_seconds() < 105


# --- POST /v1/jobs/batch ---


def test_a_batch_answers_202_with_ids_in_order(ann: Client) -> None:
    jobs = [{**ECHO, "payload": {"value": number}, "delay": 3600} for number in range(50)]
    answer = ann.post("/v1/jobs/batch", json={"jobs": jobs})
    assert answer.status_code == 202
    assert list(answer.json()) == ["ids"]
    ids = answer.json()["ids"]
    assert all(is_job_id(job_id) for job_id in ids)
    assert len(set(ids)) == 50
    for number in (0, 17, 49):
        shown = ann.get(f"/v1/jobs/{ids[number]}", params={"include": "payload"}).json()
        assert shown["payload"] == {"value": number}


def test_a_bad_item_is_422_with_its_index_in_the_pointer_and_nothing_is_made(ann: Client) -> None:
    case = str(uuid4())
    good = {**ECHO, "tags": {"batch": case}}
    bad = {"type": "diagnostics.sleep", "payload": {"seconds": "soon"}}
    body = problem(ann.post("/v1/jobs/batch", json={"jobs": [good, good, bad]}), 422, "invalid-input")
    assert pointers(body) == ["/jobs/2/payload/seconds"]
    assert ann.get("/v1/jobs", params={"tag": f"batch:{case}"}).json()["items"] == []


def test_a_batch_has_up_to_10_000_jobs(ann: Client) -> None:
    body = problem(ann.post("/v1/jobs/batch", json={"jobs": [ECHO] * 10_001}), 422, "invalid-input")
    assert pointers(body) == ["/jobs"]


# --- GET /v1/jobs/{id} ---


def test_get_answers_the_job_with_an_etag_and_304(ann: Client) -> None:
    job = ann.submit(delay=3600)
    answer = ann.get(job["links"]["self"])
    assert (answer.status_code, answer.json()) == (200, job)
    tag = answer.headers["ETag"]
    assert re.fullmatch(r'"[!#-~]+"', tag)
    unchanged = ann.get(job["links"]["self"], headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", tag)


@pytest.mark.parametrize("change", [{"priority": 9}, {"tags": {"a": "b"}}, {"expires_at": "2099-01-01T00:00:00Z"}])
def test_the_etag_changes_when_anything_shown_changes(ann: Client, change: dict[str, Any]) -> None:
    job = ann.submit(delay=3600)
    tag = ann.get(job["links"]["self"]).headers["ETag"]
    ann.patch(job["links"]["self"], json=change)
    changed = ann.get(job["links"]["self"], headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_wait_answers_when_the_job_is_done(ann: Client) -> None:
    job = ann.submit("diagnostics.sleep", {"seconds": 0.5})
    answer = ann.get(job["links"]["self"], params={"wait": LONG})
    assert answer.json()["status"] == "succeeded"


def test_wait_answers_after_n_seconds_with_the_present_state(ann: Client) -> None:
    job = ann.submit(delay=3600)
    answer = ann.get(job["links"]["self"], params={"wait": 1})
    assert (answer.status_code, answer.json()["status"]) == (200, "scheduled")
    assert answer.elapsed >= timedelta(seconds=1)


def test_wait_with_if_none_match_answers_when_the_job_has_changed(ann: Client) -> None:
    job = ann.submit("diagnostics.sleep", {"seconds": 60})
    tag = ann.get(job["links"]["self"]).headers["ETag"]
    ann.running(job["id"])
    ann.post(job["links"]["cancel"])
    answer = ann.get(job["links"]["self"], params={"wait": LONG}, headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer.headers["ETag"] != tag


@pytest.mark.parametrize("wait", ["-1", "61", "soon"])
def test_wait_is_0_to_60_seconds(ann: Client, wait: str) -> None:
    job = ann.submit(delay=3600)
    body = problem(ann.get(job["links"]["self"], params={"wait": wait}), 422, "invalid-input")
    assert pointers(body) == ["/query/wait"]


# --- GET /v1/jobs/{id}/result ---


def test_result_is_the_result_alone(ann: Client) -> None:
    job = ann.done(ann.submit("diagnostics.echo", {"value": [1, 2]})["id"])
    answer = ann.get(job["links"]["result"])
    assert (answer.status_code, answer.json()) == (200, {"value": [1, 2]})
    assert answer.headers["Content-Type"] == "application/json"


def test_result_of_a_job_that_is_not_done_is_409_with_retry_after(ann: Client) -> None:
    answer = ann.get(ann.submit(delay=3600)["links"]["result"])
    problem(answer, 409, "not-done")
    assert answer.headers["Retry-After"].isdecimal()


def test_result_of_a_job_without_success_is_409_with_the_error_in_the_problem(ann: Client) -> None:
    job = ann.done(ann.submit("diagnostics.fail", max_retries=0)["id"])
    answer = ann.get(job["links"]["result"])
    body = problem(answer, 409, "unsuccessful")
    assert body["error"] == job["error"]
    assert "Retry-After" not in answer.headers


def test_consume_erases_payload_and_result_after_the_answer(ann: Client) -> None:
    job = ann.done(ann.submit("diagnostics.echo", {"value": "secret"})["id"])
    answer = ann.get(job["links"]["result"], params={"consume": "true"})
    assert (answer.status_code, answer.json()) == (200, {"value": "secret"})
    assert answer.headers["Content-Type"] == "application/json"
    problem(ann.get(job["links"]["result"]), 410, "result-erased")
    shown = ann.get(job["links"]["self"], params={"include": "payload"}).json()
    assert (shown["status"], shown["result"], shown["payload"]) == ("succeeded", None, None)


# --- GET /v1/jobs/{id}/attempts ---


def test_attempts_are_one_item_each(ann: Client) -> None:
    job = ann.done(ann.submit("diagnostics.fail", {"succeed_on_attempt": 2})["id"])
    page = ann.get(job["links"]["attempts"]).json()
    assert list(page) == ["items", "next_page_token"]
    first, second = page["items"]
    assert (first["attempt"], first["outcome"]) == (1, "failed")
    assert first["error"]["type"] == "DiagnosedFailure"
    assert (second["attempt"], second["outcome"], second["error"]) == (2, "succeeded", None)
    assert is_time(first["started_at"])
    assert is_time(first["finished_at"])


# --- POST /v1/jobs/{id}/cancel ---


def test_cancel_of_a_waiting_job_is_202_and_cancelled_in_the_answer(ann: Client) -> None:
    answer = ann.post(ann.submit(delay=3600)["links"]["cancel"])
    job = answer.json()
    assert (answer.status_code, job["status"], job["done"]) == (202, "cancelled", True)
    assert list(job) == JOB_FIELDS


def test_cancel_of_a_running_job_sets_cancel_requested_at_then_cancelled(ann: Client) -> None:
    job = ann.running(ann.submit("diagnostics.sleep", {"seconds": 60, "steps": 1000})["id"])
    answer = ann.post(job["links"]["cancel"])
    assert answer.status_code == 202
    assert is_time(answer.json()["cancel_requested_at"])
    assert ann.done(job["id"])["status"] == "cancelled"


def test_cancel_of_a_done_job_is_409(ann: Client) -> None:
    job = ann.done(ann.submit()["id"])
    problem(ann.post(job["links"]["cancel"]), 409, "conflict")


def test_cancel_twice_is_fine(ann: Client) -> None:
    cancel = ann.submit(delay=3600)["links"]["cancel"]
    first, second = ann.post(cancel), ann.post(cancel)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()


# --- POST /v1/jobs/{id}/retry ---


def test_retry_queues_a_failed_job_again_with_the_same_id(ann: Client) -> None:
    job = ann.done(ann.submit("diagnostics.fail", {"succeed_on_attempt": 2}, max_retries=0)["id"])
    answer = ann.post(f"{job['links']['self']}/retry")
    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (202, job["id"], "queued")
    again = ann.done(job["id"])
    assert (again["status"], again["attempt"]) == ("succeeded", 2)


def test_retry_of_a_cancelled_job(ann: Client) -> None:
    job = ann.submit(delay=3600)
    ann.post(job["links"]["cancel"])
    assert ann.post(f"{job['links']['self']}/retry").status_code == 202
    assert ann.done(job["id"])["status"] == "succeeded"


def test_retry_of_anything_else_is_409(ann: Client) -> None:
    live, succeeded = ann.submit(delay=3600), ann.done(ann.submit()["id"])
    for job in (live, succeeded):
        problem(ann.post(f"{job['links']['self']}/retry"), 409, "conflict")


# --- PATCH /v1/jobs/{id} ---


def test_patch_changes_a_job_that_still_waits(ann: Client) -> None:
    job = ann.submit(delay=3600)
    later = {"scheduled_at": "2098-01-01T00:00:00.000Z", "expires_at": "2099-01-01T00:00:00.000Z"}
    change = {"priority": 9, "tags": {"case": "7"}, **later}
    answer = ann.patch(job["links"]["self"], json=change)
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in change} == change
    assert answer.json() == ann.get(job["links"]["self"]).json()


def test_patch_if_match_is_412_when_the_job_has_changed(ann: Client) -> None:
    job = ann.submit(delay=3600)
    tag = ann.get(job["links"]["self"]).headers["ETag"]
    first = ann.patch(job["links"]["self"], json={"priority": 9}, headers={"If-Match": tag})
    assert first.status_code == 200
    problem(
        ann.patch(job["links"]["self"], json={"priority": 1}, headers={"If-Match": tag}), 412, "precondition-failed"
    )
    assert ann.get(job["links"]["self"]).json()["priority"] == 9


def test_patch_of_a_job_that_does_not_wait_is_409(ann: Client) -> None:
    job = ann.done(ann.submit()["id"])
    problem(ann.patch(job["links"]["self"], json={"priority": 9}), 409, "conflict")


# --- DELETE /v1/jobs/{id} ---


def test_delete_of_a_done_job_is_204_and_gone(ann: Client) -> None:
    job = ann.done(ann.submit("diagnostics.echo", {"value": 1}, tags={"kind": "deleted"})["id"])
    answer = ann.delete(job["links"]["self"])
    assert (answer.status_code, answer.content) == (204, b"")
    for name in ("self", "result", "events", "attempts"):
        problem(ann.get(job["links"][name]), 404, "not-found")
    assert ann.get("/v1/jobs", params={"tag": "kind:deleted"}).json()["items"] == []
    problem(ann.delete(job["links"]["self"]), 404, "not-found")


def test_delete_of_a_live_job_is_409(ann: Client) -> None:
    problem(ann.delete(ann.submit(delay=3600)["links"]["self"]), 409, "conflict")


# --- POST /v1/jobs/bulk ---


def test_bulk_is_itself_a_job_and_for_operators(ann: Client, olga: Client) -> None:
    case = str(uuid4())
    jobs = [ann.submit(delay=3600, tags={"bulk": case}) for _ in range(3)]
    body = {"action": "cancel", "filter": {"tag": [f"bulk:{case}"]}}
    problem(ann.post("/v1/jobs/bulk", json=body), 403, "forbidden")
    answer = olga.post("/v1/jobs/bulk", json=body)
    assert answer.status_code == 202, answer.text
    assert olga.done(answer.json()["id"])["status"] == "succeeded"
    assert {ann.get(job["links"]["self"]).json()["status"] for job in jobs} == {"cancelled"}


def test_ids_are_in_the_order_of_their_making(ann: Client) -> None:
    ids = [UUID(ann.submit(delay=3600)["id"]) for _ in range(5)]
    assert ids == sorted(ids)
