"""API.md: GET /v1/jobs/{id}/events and GET /v1/jobs/stream."""

from __future__ import annotations

from uuid import uuid4

from tests.contract.callboard import Client
from tests.contract.formats import JOB_FIELDS, is_time, problem
from tests.support.sse import reading

EVENT_FIELDS = [
    "id", "type", "at", "attempt", "worker", "progress", "error", "next_attempt_at", "status", "waiting_for",
]  # fmt: skip


def test_events_are_what_happened_oldest_first(ann: Client) -> None:
    job = ann.done(ann.submit("diagnostics.fail", {"succeed_on_attempt": 2})["id"])
    page = ann.get(job["links"]["events"]).json()
    assert list(page) == ["items", "next_page_token"]
    assert all(list(item) == EVENT_FIELDS for item in page["items"])
    assert [item["type"] for item in page["items"]] == ["submitted", "started", "retry", "started", "finished"]
    assert page["items"][-1]["status"] == "succeeded"
    times = [item["at"] for item in page["items"]]
    assert all(is_time(time) for time in times)
    assert times == sorted(times)


def test_events_are_paged(ann: Client) -> None:
    job = ann.done(ann.submit()["id"])
    first = ann.get(job["links"]["events"], params={"page_size": 2}).json()
    rest = ann.get(job["links"]["events"], params={"page_token": first["next_page_token"]}).json()
    assert first["items"] + rest["items"] == ann.get(job["links"]["events"]).json()["items"]
    assert rest["next_page_token"] is None


def test_the_stream_of_a_job_ends_when_the_job_does(ann: Client) -> None:
    job = ann.submit("diagnostics.sleep", {"seconds": 0.5, "steps": 2})
    with reading(ann, job["links"]["events"]) as reader:
        kinds = [sent.kind for sent in reader]
    assert (kinds[0], kinds[-1]) == ("submitted", "finished")
    assert "progress" in kinds


def test_last_event_id_resumes_without_gap_or_repeat(ann: Client) -> None:
    job = ann.done(ann.submit()["id"])
    with reading(ann, job["links"]["events"]) as reader:
        (first,) = reader.next()
        seen = reader.last_id
        rest = [sent.data for sent in reader]
    with reading(ann, job["links"]["events"], last_id=seen) as reader:
        assert [sent.data for sent in reader] == rest
        last = reader.last_id
    assert [first.data, *rest] == ann.get(job["links"]["events"]).json()["items"]
    with reading(ann, job["links"]["events"], last_id=last) as reader:
        assert reader.answer.status_code == 204


def test_the_stream_of_jobs_tells_every_change_that_the_caller_may_see(ann: Client, ben: Client) -> None:
    case = str(uuid4())
    with reading(ann, f"/v1/jobs/stream?tag=case:{case}") as reader:
        reader.settle()
        ben.submit(delay=3600, tags={"case": case})
        job = ann.submit(delay=3600, tags={"case": case})
        (sent,) = reader.next()
        assert (sent.kind, sent.data["id"], sent.data["status"]) == ("job", job["id"], "scheduled")
        assert list(sent.data) == [name for name in JOB_FIELDS if name not in {"result", "estimate"}]
        seen = reader.last_id
    other = ann.submit(delay=3600, tags={"case": case})
    ann.post(other["links"]["cancel"])
    with reading(ann, f"/v1/jobs/stream?tag=case:{case}", last_id=seen) as reader:
        (sent,) = reader.next()
        assert (sent.data["id"], sent.data["status"]) == (other["id"], "cancelled"), "once, in its present state"


def test_last_event_ids_of_another_stream_are_422(ann: Client) -> None:
    answer = ann.get("/v1/jobs/stream", headers={"Last-Event-ID": "1-0:0:"})
    problem(answer, 422, "invalid-input")
