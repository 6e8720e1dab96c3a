"""API.md, Limits per key, and sizes."""

from __future__ import annotations

import re

from tests.contract.callboard import Callboard
from tests.contract.formats import problem

# draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4.
POLICY = re.compile(r'"[a-z-]+";q=\d+(;w=\d+)?')
LIMIT = re.compile(r'"[a-z-]+";r=\d+(;t=\d+)?')


def test_over_the_live_jobs_of_a_key_it_is_429(callboard: Callboard) -> None:
    few = callboard.client("few")
    jobs = [few.submit(delay=3600) for _ in range(2)]
    answer = few.post("/v1/jobs", json={"type": "diagnostics.echo", "payload": {}})
    problem(answer, 429, "quota-exceeded")
    assert answer.headers["Retry-After"].isdecimal()
    assert LIMIT.fullmatch(answer.headers["RateLimit"])
    assert answer.headers["RateLimit"].startswith('"live-jobs";r=0')
    policies = answer.headers["RateLimit-Policy"].split(", ")
    assert all(POLICY.fullmatch(policy) for policy in policies)
    assert '"live-jobs";q=2' in policies
    for job in jobs:
        few.post(job["links"]["cancel"])
    assert few.submit(delay=3600)["status"] == "scheduled"


def test_over_the_submissions_per_second_of_a_key_it_is_429(callboard: Callboard) -> None:
    slow = callboard.client("slow")
    slow.submit()
    answer = slow.post("/v1/jobs", json={"type": "diagnostics.echo", "payload": {}})
    problem(answer, 429, "quota-exceeded")
    assert answer.headers["RateLimit"].startswith('"submissions";r=0;t=')
    assert int(answer.headers["Retry-After"]) > 1


def test_a_payload_above_1_mib_is_413(callboard: Callboard) -> None:
    ann = callboard.client("ann")
    fits = {"type": "diagnostics.echo", "payload": {"value": "x" * (2**20 - len('{"value":""}'))}, "delay": 3600}
    assert ann.post("/v1/jobs", json=fits).status_code == 202
    fits["payload"] = {"value": "x" * 2**20}
    problem(ann.post("/v1/jobs", json=fits), 413, "too-large")


def test_a_too_large_body_is_413(callboard: Callboard) -> None:
    body = b'{"type": "diagnostics.echo", "payload": "' + b"x" * 17 * 2**20 + b'"}'
    answer = callboard.client("ann").post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 413, "too-large")


def test_cors_is_off_by_default(callboard: Callboard) -> None:
    answer = callboard.client("ann").get("/v1/jobs", headers={"Origin": "https://elsewhere.example"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
