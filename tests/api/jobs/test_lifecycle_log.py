"""What operators see of what clients do with jobs: one line of the log for each transition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from callboard.db.rules.states import Status
from tests.support.factory import Factory
from tests.support.serving import Served

OPERATOR = {"x-owner": "ops", "x-role": "operator"}
WHO = {"caller": "ops", "key_id": None, "client": "127.0.0.1"}
JOB = {"job_type": "test.job", "queue": "default", "owner": "owner"}


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs(processors=[merge_contextvars]) as lines:
        yield lines


def the_line(logs: list[Any], event: str) -> dict[str, Any]:
    """Return the one line with that name, without what every line of a request has."""
    [line] = [dict(line) for line in logs if line["event"] == event]
    assert line.pop("request_id")
    assert (line.pop("log_level"), line.pop("event")) == ("info", event)
    return line


def test_a_submission(api: Served, logs: list[Any]) -> None:
    job = api.submit(unique_key="a")
    api.submit(unique_key="a")

    who = {"caller": "owner", "key_id": None, "client": "127.0.0.1"}
    assert the_line(logs, "job_submitted") == {**JOB, **who, "job_id": job["id"]}


def test_a_batch_has_one_line(api: Served, logs: list[Any]) -> None:
    batch = {"jobs": [{"type": "test.job", "payload": {}} for _ in range(3)]}
    for _ in range(2):
        answer = api.client.post("/v1/jobs/batch", json=batch, headers={"idempotency-key": "once"})
        assert answer.status_code == 202, answer.text
    line = the_line(logs, "jobs_submitted")

    ids = answer.json()["ids"]
    assert (line["jobs"], line["first_id"], line["last_id"]) == (3, ids[0], ids[-1])


@pytest.mark.parametrize(
    ("status", "method", "path", "event"),
    [
        (Status.QUEUED, "POST", "/cancel", "job_cancelled"),
        (Status.RUNNING, "POST", "/cancel", "job_cancel_requested"),
        (Status.FAILED, "POST", "/retry", "job_retried"),
        (Status.SUCCEEDED, "DELETE", "", "job_deleted"),
        (Status.SUCCEEDED, "GET", "/result", "result_fetched"),
        (Status.SUCCEEDED, "GET", "/result?consume=true", "result_consumed"),
    ],
)
def test_a_change_by_an_operator(
    api: Served, factory: Factory, logs: list[Any], status: Status, method: str, path: str, event: str
) -> None:
    job_id = factory.in_state(status)
    answer = api.client.request(method, f"/v1/jobs/{job_id}{path}", headers=OPERATOR)
    assert answer.is_success, answer.text
    assert the_line(logs, event) == {**JOB, **WHO, "job_id": str(job_id)}
    # The second time, nothing changes.
    del logs[:]
    if method != "GET" and event != "job_cancel_requested":
        api.client.request(method, f"/v1/jobs/{job_id}{path}", headers=OPERATOR)
        assert [line for line in logs if line["event"] == event] == []


def test_an_amendment_names_what_it_changes(api: Served, factory: Factory, logs: list[Any]) -> None:
    job_id = factory.submit()
    assert api.client.patch(f"/v1/jobs/{job_id}", json={"priority": 9}, headers=OPERATOR).is_success
    assert the_line(logs, "job_amended") == {**JOB, **WHO, "job_id": str(job_id), "changed": ["priority"]}


def test_a_bulk_action_is_a_submission(api: Served, logs: list[Any]) -> None:
    answer = api.client.post("/v1/jobs/bulk", json={"action": "cancel", "filter": {}, "all": True}, headers=OPERATOR)
    assert answer.status_code == 202, answer.text
    line = the_line(logs, "job_submitted")
    assert (line["job_id"], line["job_type"], line["caller"]) == (answer.json()["id"], "callboard.bulk", "ops")


def test_a_cancelled_job_that_waited_is_counted_as_finished(api: Served, factory: Factory) -> None:
    for status in (Status.QUEUED, Status.RUNNING):
        api.client.post(f"/v1/jobs/{factory.in_state(status)}/cancel")
    families = text_string_to_metric_families(api.client.get("/metrics").text)
    [finished] = [family for family in families if family.name == "callboard_jobs_finished"]
    assert [(sample.labels, sample.value) for sample in finished.samples] == [
        ({"type": "test.job", "queue": "default", "outcome": "cancelled"}, 1)
    ]
