from __future__ import annotations

import json
from typing import Any

import pytest

from callboard.client import Client, ClientError, ServerUnreachable

ID = "019aa1f0-0000-7000-8000-000000000001"
UNAVAILABLE = {"title": "Unavailable", "status": 503, "detail": "The database cannot be reached."}


def progress(percent: float, step: str) -> dict[str, Any]:
    return {"percent": percent, "current": percent, "total": 100, "step": step, "message": f"At {percent:g}",
            "updated_at": "2026-01-02T03:04:07.000Z"}  # fmt: skip


def test_progress_goes_to_stderr_and_the_result_to_stdout(run: Any, script: Any, response: Any, job: Any) -> None:
    script.will(
        response(job("queued"), headers={"ETag": '"1"'}),
        response(job(progress=progress(5, "Read")), headers={"ETag": '"2"'}),
        response(job(progress=progress(8, "Read")), headers={"ETag": '"3"'}),
        response(status=304),
        response(job(progress=progress(45, "Count")), headers={"ETag": '"4"'}),
        response(job("succeeded", result={"rows": 50_000}), headers={"ETag": '"5"'}),
    )
    ran = run("watch", ID)
    assert (ran.code, ran.out.split()) == (0, ["rows", "50,000"])
    assert ran.err.splitlines() == ["queued", "running 5% Read · At 5", "running 45% Count · At 45", "succeeded 100%"]
    first, *polls = script.asked
    assert first.path == f"/v1/jobs/{ID}"
    assert {asked.path for asked in polls} == {f"/v1/jobs/{ID}?wait=25"}
    assert [asked.headers["If-None-Match"] for asked in polls] == ['"1"', '"2"', '"3"', '"3"', '"4"']


@pytest.mark.parametrize("status", ["failed", "cancelled", "expired"])
def test_a_job_without_success_exits_with_1(run: Any, script: Any, response: Any, job: Any, status: str) -> None:
    error = {"reason": "exception", "type": "ValueError", "message": "no such sheet", "attempt": 4}
    script.will(response(job(status, error=error)))
    ran = run("watch", ID)
    assert ran.code == 1
    assert ran.out == f"{status}: ValueError: no such sheet (exception)\n"


def test_json_is_the_finished_job(run: Any, script: Any, response: Any, job: Any) -> None:
    script.will(response(job("queued"), 202, {"ETag": '"1"'}), response(job("succeeded", result=[1])))
    ran = run("submit", "x", "--watch", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["result"] == [1]


def test_an_outage_is_waited_out(run: Any, script: Any, response: Any, job: Any) -> None:
    script.will(
        response(job(), headers={"ETag": '"1"'}),
        response(drop=True),
        response(UNAVAILABLE, 503, {"Retry-After": "0"}, media_type="application/problem+json"),
        response(drop=True),
        response(job("succeeded", result="done")),
    )
    ran = run("watch", ID)
    assert (ran.code, ran.out) == (0, "done\n")
    # One outage, told once.
    assert ran.err.count("Trying again") == 1
    assert script.is_used_up


def test_an_outage_has_an_end(script: Any, response: Any, job: Any) -> None:
    script.will(response(job(), headers={"ETag": '"1"'}), *(response(drop=True) for _ in range(5)))
    outages: list[ClientError] = []
    with Client(script.url) as client:
        states = client.watch(client.get(ID), on_outage=outages.append, retry_for=0.3)
        assert next(states).status == "running"
        with pytest.raises(ServerUnreachable):
            next(states)
    assert len(outages) == 1


def test_a_job_that_is_gone_ends_the_watch(run: Any, script: Any, response: Any, job: Any) -> None:
    gone = {"title": "Not found", "status": 404, "detail": f"There is no job {ID}."}
    script.will(response(job()), response(gone, 404, media_type="application/problem+json"))
    ran = run("watch", ID)
    assert ran.code == 2
    assert ran.err.splitlines()[-1] == f"Error: Not found: There is no job {ID}."


def test_without_an_etag_each_request_waits_a_second_at_most(run: Any, script: Any, response: Any, job: Any) -> None:
    script.will(response(job()), response(job("succeeded")))
    assert run("watch", ID).code == 0
    assert script.asked[1].path == f"/v1/jobs/{ID}?wait=1"
