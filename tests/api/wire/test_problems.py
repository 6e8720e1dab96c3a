from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import HTTPException, Request
from sqlalchemy import text
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from callboard.api import errors as api_errors
from callboard.api.auth.caller import Authenticate, Caller
from callboard.api.services import services_of
from callboard.api.wire.problems import PROBLEMS, problem_of
from callboard.db import errors as db_errors
from callboard.db.errors import CallboardError, ConfigurationError
from callboard.db.rules.ids import new_id
from tests.support.serving import Served

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]
Serve = Callable[..., Served]

ERRORS = [
    kind
    for module in (db_errors, api_errors)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, CallboardError)
]


def test_unknown_paths_are_problems(client: httpx.Client, as_problem: AsProblem) -> None:
    for path in ("/nope", "/v1", "/v1/jobs/", "/v1/jobs/x/y/z", "/%00", "/%ff"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json()["code"] == "not-found"
    as_problem(client.post("/nope", content=b"x"), 404, "not-found")


def test_an_unknown_method_is_told_the_known_ones(client: httpx.Client, as_problem: AsProblem) -> None:
    answer = client.put("/v1/jobs")
    as_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert client.request("POST", "/livez").headers["allow"] == "GET, HEAD"


def test_every_code_is_explained(client: httpx.Client, as_problem: AsProblem) -> None:
    for code, kind in PROBLEMS.items():
        body = client.get(f"/problems/{code}").json()
        assert body["code"] == code
        assert body["type"] == f"/problems/{code}"
        assert body["status"] == kind.status
        assert body["explanation"]
    as_problem(client.get("/problems/none"), 404, "not-found")


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_of_the_domain_is_a_problem(kind: type[CallboardError]) -> None:
    problem = problem_of(kind.__new__(kind))
    if "code" in vars(kind) and kind not in (CallboardError, ConfigurationError):
        assert problem.code == kind.code
    else:
        assert problem.status == 500


def test_what_nobody_expected_is_told_without_details(api: Served, as_problem: AsProblem) -> None:
    async def broken() -> None:
        raise RuntimeError("secret")

    api.app.add_api_route("/broken", broken)
    answer = api.client.get("/broken")
    assert "secret" not in answer.text
    as_problem(answer, 500, "internal")
    assert answer.headers["x-request-id"]


async def defect(_: Request) -> Caller:
    raise RuntimeError("secret")


async def refused_value(request: Request) -> Caller:
    await services_of(request).threads.run(lambda connection: connection.execute(text("SELECT 'secret'::int")))
    raise AssertionError("PostgreSQL took it")


async def lost_connection(request: Request) -> Caller:
    statement = text("SELECT pg_terminate_backend(pg_backend_pid()), 'secret'")
    await services_of(request).threads.run(lambda connection: connection.execute(statement))
    raise AssertionError("the connection is still there")


async def teapot(_: Request) -> Caller:
    raise HTTPException(418)


@pytest.mark.parametrize("path", ["", "/attempts"], ids=["past FastAPI's router", "by FastAPI's router"])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (defect, 500, "internal"),
        (refused_value, 422, "invalid-input"),
        (lost_connection, 503, "unavailable"),
        (teapot, 418, "http-error"),
    ],
)
def test_errors_are_told_alike_wherever_they_come_from(
    serve: Serve, as_problem: AsProblem, path: str, fault: Authenticate, status: int, code: str
) -> None:
    client = serve(authenticate=fault).client

    answer = client.get(f"/v1/jobs/{new_id()}{path}", headers={"x-request-id": "asked"})

    as_problem(answer, status, code)
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] == "asked"


@pytest.mark.parametrize("path", ["", "/attempts"], ids=["past FastAPI's router", "by FastAPI's router"])
def test_jobs_and_methods_that_do_not_exist_are_told_alike(
    client: httpx.Client, as_problem: AsProblem, path: str
) -> None:
    url = f"/v1/jobs/{new_id()}{path}"
    as_problem(client.get(url), 404, "not-found")
    as_problem(client.put(url), 405, "method-not-allowed")


def test_other_errors_of_the_framework_keep_status_and_headers(api: Served, as_problem: AsProblem) -> None:
    async def teapot() -> None:
        raise HTTPException(418, "short and stout", {"x-spout": "yes"})

    api.app.add_api_route("/teapot", teapot)
    answer = api.client.get("/teapot")
    body = as_problem(answer, 418, "http-error")
    assert body["detail"] == "short and stout"
    assert answer.headers["x-spout"] == "yes"


def test_a_request_id_is_taken_or_made(client: httpx.Client) -> None:
    assert client.get("/livez", headers={"x-request-id": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"
    made = {client.get("/livez").headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    for bad in ("", "a b", "x" * 129, 'a"b', "{}"):
        answer = client.get("/nope", headers={"x-request-id": bad})
        assert answer.headers["x-request-id"] not in {bad, ""}


def test_a_request_id_is_logged(client: httpx.Client) -> None:
    with capture_logs(processors=[merge_contextvars]) as logs:
        client.get("/livez", headers={"x-request-id": "find-me"})
        client.get("/livez")  # on the same connection: the first request is over, its log line included
    assert "find-me" in [entry["request_id"] for entry in logs]
