from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from callboard.api.openapi import models
from callboard.db.attempt.progress import ProgressReport, report_progress
from callboard.db.models import audit_log
from callboard.db.rules.ids import new_id
from callboard.db.rules.outcome import Outcome
from callboard.db.rules.states import LIVE, TERMINAL, Status
from callboard.db.sql.engine import Database
from tests.support.factory import ERROR, OUTCOMES, Factory
from tests.support.serving import Served

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]

RETRIABLE = {Status.FAILED, Status.CANCELLED, Status.EXPIRED}
ABOUT_ONE_JOB = [("GET", ""), ("GET", "/result"), ("GET", "/attempts"), ("POST", "/cancel"), ("POST", "/retry")]
STRANGER = {"x-owner": "stranger", "x-role": "client"}
VIEWER = {"x-owner": "stranger", "x-role": "viewer"}
OPERATOR = {"x-owner": "stranger", "x-role": "operator"}


# --- GET /v1/jobs/{id} -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", Status)
def test_a_job_is_shown_in_every_state(api: Served, factory: Factory, status: Status) -> None:
    job_id = factory.in_state(status)
    answer = api.client.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    job = models.Job.model_validate_json(answer.content)
    assert job.id == job_id
    assert job.status == status
    assert job.done is (status in TERMINAL)
    assert (job.finished_at is not None) is (status in TERMINAL)
    assert (job.error is not None) is (status in RETRIABLE | {Status.RETRYING})
    assert (job.result is not None) is (status is Status.SUCCEEDED)
    assert (job.next_attempt_at is not None) is (status in {Status.SCHEDULED, Status.RETRYING})
    assert answer.headers["etag"].endswith(f'-{status}"')
    shown = api.get(f"/v1/jobs/{job_id}", include="payload")
    assert shown["payload"] == {"n": 1}


def test_progress_is_shown_and_changes_the_etag(api: Served, factory: Factory, database: Database) -> None:
    claimed = factory.claim(factory.submit())
    before = api.client.get(f"/v1/jobs/{claimed.id}")
    report = ProgressReport(claimed.attempt_id, 1, current=9, total=20, step="Q3", message="Reading sheet Q3")
    with database.begin() as connection:
        report_progress(connection, [report])
    after = api.client.get(f"/v1/jobs/{claimed.id}")
    assert after.headers["etag"] != before.headers["etag"]
    progress = after.json()["progress"]
    assert progress.pop("updated_at").endswith("Z")
    assert progress == {"percent": 45.0, "current": 9, "total": 20, "step": "Q3", "message": "Reading sheet Q3"}


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', '"x",{},"y"', "*"])
def test_a_known_state_is_not_sent_again(api: Served, factory: Factory, form: str) -> None:
    path = f"/v1/jobs/{factory.submit()}"
    etag = api.client.get(path).headers["etag"]
    answer = api.client.get(path, headers={"if-none-match": form.format(etag)})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert api.client.get(path, headers={"if-none-match": '"7-other"'}).status_code == 200


@pytest.mark.parametrize(
    "job_id",
    [
        "7",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "%7B019aa1f0-0000-7000-8000-000000000001%7D",
        "019aa1f0000070008000000000000001",
        "019aa1f0-0000-7000-8000-00000000000%00",
        "%ff%fe",
        "..%2f..",
        "x" * 2000,
    ],
)
def test_what_is_no_job_is_not_found(api: Served, as_problem: AsProblem, job_id: str) -> None:
    for method, rest in (
        ("GET", ""),
        ("GET", "/result"),
        ("GET", "/attempts"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
    ):
        answer = api.client.request(method, f"/v1/jobs/{job_id}{rest}")
        assert answer.status_code == 404, answer.text
        assert answer.json()["code"] == "not-found"


def test_head_tells_what_get_would(api: Served, factory: Factory) -> None:
    path = f"/v1/jobs/{factory.submit()}"
    got, head = api.client.get(path), api.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == got.headers["etag"]


def test_something_else_cannot_be_included(api: Served, factory: Factory, as_problem: AsProblem) -> None:
    answer = api.client.get(f"/v1/jobs/{factory.submit()}", params={"include": "secrets"})
    assert as_problem(answer, 422, "invalid-input")["errors"][0]["pointer"] == "/query/include"


def test_polls_at_the_same_time_each_get_their_job(api: Served, factory: Factory) -> None:
    job_ids = [str(factory.submit()) for _ in range(20)] + [str(new_id())]
    with ThreadPoolExecutor(16) as threads:
        got = list(threads.map(lambda job_id: api.client.get(f"/v1/jobs/{job_id}").json().get("id"), job_ids * 5))
    assert got == [*job_ids[:-1], None] * 5


# --- result and attempts ---------------------------------------------------------------------------------------------


def test_the_result_comes_alone(api: Served, factory: Factory) -> None:
    assert api.get(f"/v1/jobs/{factory.in_state(Status.SUCCEEDED)}/result") == {"answer": 42}
    claimed = factory.claim(factory.submit())
    factory.end(claimed, Outcome.succeed(b"null"))
    answer = api.client.get(f"/v1/jobs/{claimed.id}/result")
    assert (answer.status_code, answer.content) == (200, b"null")


@pytest.mark.parametrize("status", sorted(LIVE))
def test_there_is_no_result_before_the_end(
    api: Served, factory: Factory, as_problem: AsProblem, status: Status
) -> None:
    answer = api.client.get(f"/v1/jobs/{factory.in_state(status)}/result")
    assert status in as_problem(answer, 409, "not-done")["detail"]
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("status", sorted(RETRIABLE))
def test_there_is_no_result_without_success(
    api: Served, factory: Factory, as_problem: AsProblem, status: Status
) -> None:
    job_id = factory.in_state(status)
    answer = api.client.get(f"/v1/jobs/{job_id}/result")
    assert as_problem(answer, 409, "unsuccessful")["error"] == api.get(f"/v1/jobs/{job_id}")["error"]
    assert "retry-after" not in answer.headers


def test_attempts_are_listed_and_operators_see_tracebacks(api: Served, factory: Factory) -> None:
    job_id = factory.submit()
    factory.end(factory.claim(job_id), OUTCOMES[Status.QUEUED])
    factory.end(factory.claim(job_id, 2), Outcome.fail(replace(ERROR, attempt=2)))
    path = f"/v1/jobs/{job_id}/attempts"
    body = api.get(path)
    assert body["next_page_token"] is None
    released, failed = body["items"]
    assert (released["attempt"], released["outcome"], released["error"]) == (1, "released", None)
    assert (failed["attempt"], failed["outcome"], failed["worker"]) == (2, "failed", "host-1")
    assert failed["error"] == {"reason": "exception", "type": "ValueError", "message": "no such thing", "attempt": 2}
    assert failed["traceback"] == "Traceback …"
    for headers in ({"x-role": "client"}, VIEWER):
        for item in api.client.get(path, headers=headers).json()["items"]:
            assert "traceback" not in item
            models.Attempt.model_validate(item)


# --- cancel and retry ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(LIVE - {Status.RUNNING}))
def test_a_waiting_job_is_cancelled_in_the_answer(api: Served, factory: Factory, status: Status) -> None:
    path = f"/v1/jobs/{factory.in_state(status)}/cancel"
    answer = api.client.post(path)
    assert answer.status_code == 202
    job = answer.json()
    assert (job["status"], job["done"], job["error"]["reason"]) == ("cancelled", True, "cancelled")
    again = api.client.post(path)
    assert (again.status_code, again.json()) == (202, job)


def test_a_running_job_is_asked_to_stop_once(api: Served, factory: Factory) -> None:
    claimed = factory.claim(factory.submit())
    path = f"/v1/jobs/{claimed.id}/cancel"
    first, second = api.client.post(path), api.client.post(path)
    assert (first.status_code, first.json()["status"]) == (202, "running")
    assert first.json()["cancel_requested_at"] is not None
    assert second.json() == first.json()
    factory.end(claimed, OUTCOMES[Status.CANCELLED])
    assert api.client.post(path).json()["status"] == "cancelled"


@pytest.mark.parametrize("status", sorted(TERMINAL - {Status.CANCELLED}))
def test_a_done_job_cannot_be_cancelled(api: Served, factory: Factory, as_problem: AsProblem, status: Status) -> None:
    answer = api.client.post(f"/v1/jobs/{factory.in_state(status)}/cancel")
    assert status in as_problem(answer, 409, "conflict")["detail"]


@pytest.mark.parametrize("status", sorted(RETRIABLE))
def test_a_job_without_success_runs_again(api: Served, factory: Factory, status: Status) -> None:
    job_id = factory.in_state(status)
    answer = api.client.post(f"/v1/jobs/{job_id}/retry")
    assert answer.status_code == 202
    assert (answer.json()["id"], answer.json()["status"]) == (str(job_id), "queued")


@pytest.mark.parametrize("status", sorted(set(Status) - RETRIABLE))
def test_no_other_job_runs_again(api: Served, factory: Factory, as_problem: AsProblem, status: Status) -> None:
    answer = api.client.post(f"/v1/jobs/{factory.in_state(status)}/retry")
    assert status in as_problem(answer, 409, "conflict")["detail"]


def test_who_cancels_and_retries_is_written_down(api: Served, factory: Factory, database: Database) -> None:
    job_id = factory.submit()
    for action in ("cancel", "retry"):
        api.client.post(f"/v1/jobs/{job_id}/{action}", headers={**OPERATOR, "x-request-id": f"r-{action}"})
    with database.begin() as connection:
        found = connection.execute(select(audit_log).order_by(audit_log.c.id)).all()
    assert [(row.actor, row.action, row.job_id, row.request_id) for row in found] == [
        ("stranger", "job.cancel", job_id, "r-cancel"),
        ("stranger", "job.retry", job_id, "r-retry"),
    ]


# --- who may ---------------------------------------------------------------------------------------------------------


def test_a_client_does_not_see_what_others_own(api: Served, factory: Factory, as_problem: AsProblem) -> None:
    job_id = factory.in_state(Status.FAILED)
    missing = api.client.get(f"/v1/jobs/{new_id()}", headers=STRANGER).json()["detail"]
    for method, rest in (
        ("GET", ""),
        ("GET", "/result"),
        ("GET", "/attempts"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
    ):
        answer = api.client.request(method, f"/v1/jobs/{job_id}{rest}", headers=STRANGER)
        assert as_problem(answer, 404, "not-found")["detail"] == f"There is no job {job_id}."
    assert missing.startswith("There is no job ")


def test_a_viewer_reads_and_an_operator_acts(api: Served, factory: Factory, as_problem: AsProblem) -> None:
    job_id = factory.submit()
    path = f"/v1/jobs/{job_id}"
    assert api.client.get(path, headers=VIEWER).status_code == 200
    as_problem(api.client.post(f"{path}/cancel", headers=VIEWER), 403, "forbidden")
    assert api.get(path)["status"] == "queued"
    assert api.client.post(f"{path}/cancel", headers=OPERATOR).status_code == 202
    assert UUID(api.get(path)["id"]) == job_id
