"""API.md, Job: its fields, in their order, and what stands in them."""

from __future__ import annotations

from tests.contract.callboard import Client
from tests.contract.formats import JOB_FIELDS, PROGRESS_FIELDS, TIMES, is_job_id, is_time


def test_every_field_of_a_waiting_job(ann: Client) -> None:
    job = ann.submit("diagnostics.sleep", {"seconds": 1}, delay=3600, tags={"case": "123"}, priority=7)
    assert list(job) == JOB_FIELDS
    assert is_job_id(job["id"])
    assert job["type"] == "diagnostics.sleep"
    assert job["queue"] == "diagnostics"
    assert (job["status"], job["done"], job["priority"], job["owner"]) == ("scheduled", False, 7, "ann")
    assert job["tags"] == {"case": "123"}
    assert job["progress"] is job["result"] is job["error"] is None
    assert (job["attempt"], job["max_retries"]) == (0, 3)
    assert isinstance(job["time_limit"], float)
    assert is_time(job["created_at"])
    assert is_time(job["scheduled_at"])
    assert job["next_attempt_at"] == job["scheduled_at"]
    for name in (
        "started_at",
        "finished_at",
        "expires_at",
        "cancel_requested_at",
        "waiting_for",
        "parent_id",
        "worker",
    ):
        assert job[name] is None, name


def test_links(ann: Client) -> None:
    job = ann.submit()
    itself = f"/v1/jobs/{job['id']}"
    assert list(job["links"].items()) == [
        ("self", itself),
        ("result", f"{itself}/result"),
        ("events", f"{itself}/events"),
        ("attempts", f"{itself}/attempts"),
        ("cancel", f"{itself}/cancel"),
    ]
    ann.done(job["id"])
    for name in ("self", "result", "events", "attempts"):
        assert ann.get(job["links"][name]).status_code == 200, name


def test_every_field_of_a_finished_job(ann: Client) -> None:
    job = ann.done(ann.submit("diagnostics.sleep", {"seconds": 0, "steps": 2})["id"])
    assert list(job) == JOB_FIELDS
    assert (job["status"], job["done"], job["attempt"]) == ("succeeded", True, 1)
    assert job["progress"].keys() == PROGRESS_FIELDS
    assert {name: job["progress"][name] for name in ("percent", "current", "total", "message")} == {
        "percent": 100.0,
        "current": 2,
        "total": 2,
        "message": "Slept",
    }
    assert is_time(job["progress"]["updated_at"])
    assert job["created_at"] <= job["started_at"] <= job["finished_at"]
    assert all(job[name] is None or is_time(job[name]) for name in TIMES)
    host, _, pid = job["worker"].rpartition(".")
    assert host
    assert pid.isdecimal()


def test_a_running_job_says_how_far_it_is(ann: Client) -> None:
    job_id = ann.submit("diagnostics.sleep", {"seconds": 60, "steps": 4})["id"]
    job = ann.running(job_id)
    assert job["done"] is False
    assert job["worker"]
    assert is_time(job["started_at"])
    ann.post(f"/v1/jobs/{job_id}/cancel")


def test_done_is_true_for_the_last_four_states(ann: Client) -> None:
    succeeded = ann.submit()["id"]
    failed = ann.submit("diagnostics.fail", max_retries=0)["id"]
    cancelled = ann.submit(delay=3600)["id"]
    ann.post(f"/v1/jobs/{cancelled}/cancel")
    expired = ann.submit(delay=3600)["id"]
    ann.patch(f"/v1/jobs/{expired}", json={"expires_at": "2000-01-01T00:00:00Z"})
    states = {"succeeded": succeeded, "failed": failed, "cancelled": cancelled, "expired": expired}
    for status, job_id in states.items():
        assert ann.done(job_id)["status"] == status


def test_the_error_of_a_failed_job(ann: Client) -> None:
    job = ann.done(ann.submit("diagnostics.fail", {"message": "no such sheet"}, max_retries=0)["id"])
    assert job["error"] == {
        "reason": "exception",
        "type": "DiagnosedFailure",
        "message": "no such sheet",
        "attempt": 1,
    }
    assert job["result"] is None


def test_the_error_of_a_job_that_took_too_long(ann: Client) -> None:
    job = ann.done(ann.submit("diagnostics.sleep", {"seconds": 60}, time_limit=0.2, max_retries=0)["id"])
    assert (job["status"], job["error"]["reason"]) == ("failed", "time_limit")


def test_tracebacks_only_on_attempts_for_operators(ann: Client, olga: Client) -> None:
    job = ann.done(ann.submit("diagnostics.fail", max_retries=0)["id"])
    assert "Traceback" not in str(job)
    attempts = job["links"]["attempts"]
    assert "traceback" not in ann.get(attempts).json()["items"][0]
    assert "Traceback" in olga.get(attempts).json()["items"][0]["traceback"]
    assert "Traceback" not in olga.get(job["links"]["self"]).text


def test_lists_leave_out_payload_and_result(ann: Client) -> None:
    job = ann.done(ann.submit("diagnostics.echo", {"value": 1})["id"])
    (item,) = (item for item in ann.get("/v1/jobs").json()["items"] if item["id"] == job["id"])
    assert list(item) == [name for name in JOB_FIELDS if name not in {"result", "estimate"}]


def test_include_payload_returns_the_payload(ann: Client) -> None:
    job = ann.submit("diagnostics.echo", {"value": [1, "ä"]})
    assert "payload" not in ann.get(job["links"]["self"]).json()
    shown = ann.get(job["links"]["self"], params={"include": "payload"}).json()
    assert shown["payload"] == {"value": [1, "ä"]}
