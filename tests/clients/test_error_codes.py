"""The client and the API know the same error codes."""

from __future__ import annotations

import json

import pytest

from callboard.api import errors as api_errors
from callboard.api.wire.problems import PROBLEMS
from callboard.client import ClientError, Problem, UnexpectedResponse
from callboard.client.errors import KIND_BY_CODE, KIND_BY_STATUS, problem_of
from callboard.client.messages import Response
from callboard.db import errors as db_errors
from callboard.db.errors import CallboardError, ConfigurationError

#: Any status may have this code, so the status says what it means.
BY_STATUS_ALONE = "http-error"
#: Raised before a request is sent or a server is started: no response has these codes.
LOCAL = {CallboardError.code, ConfigurationError.code}


def codes_in(*modules: object) -> set[str]:
    kinds = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    return {kind.code for kind in kinds if issubclass(kind, CallboardError)}


def kinds_below(kind: type[ClientError]) -> set[type[ClientError]]:
    return {kind}.union(*(kinds_below(below) for below in kind.__subclasses__()))


def response(status: int, **body: object) -> Response:
    return Response("http://127.0.0.1:8000", status, {}, json.dumps(body).encode())


def test_the_client_knows_every_code_of_the_api_and_no_other() -> None:
    assert set(KIND_BY_CODE) == set(PROBLEMS) - {BY_STATUS_ALONE}


def test_the_catalogue_has_the_code_of_every_error() -> None:
    assert codes_in(api_errors, db_errors) - LOCAL <= set(PROBLEMS)


def test_codes_of_the_client_s_own_are_not_the_api_s() -> None:
    own = {kind.code for kind in kinds_below(ClientError)} - {CallboardError.code}
    assert own == {"server-unreachable", "wait-timeout", "unexpected-response"}
    assert own.isdisjoint(PROBLEMS)


@pytest.mark.parametrize("code", sorted(KIND_BY_CODE))
def test_a_code_and_its_status_mean_the_same(code: str) -> None:
    status = PROBLEMS[code].status
    problem = problem_of(response(status, title="No", code=code))
    assert type(problem) is KIND_BY_CODE[code]
    assert problem.code == code
    # An older client, which does not know the code, goes by the status.
    assert issubclass(type(problem), KIND_BY_STATUS.get(status, Problem))


@pytest.mark.parametrize(("status", "kind"), [*KIND_BY_STATUS.items(), (418, Problem), (500, Problem)])
def test_a_code_that_is_not_known_goes_by_its_status(status: int, kind: type[Problem]) -> None:
    for code in (BY_STATUS_ALONE, "of-a-later-version"):
        assert type(problem_of(response(status, title="No", code=code))) is kind


@pytest.mark.parametrize("status", [301, 400, 404, 409, 410, 422, 500])
def test_another_server_s_response_says_nothing_of_jobs(status: int) -> None:
    problem = problem_of(Response("http://127.0.0.1:8000", status, {}, b"<html>It works!</html>"))
    assert type(problem) is UnexpectedResponse


@pytest.mark.parametrize("status", [401, 403, 429, 502, 503, 504])
def test_a_proxy_may_respond_in_place_of_the_server(status: int) -> None:
    problem = problem_of(Response("http://127.0.0.1:8000", status, {}, b"<html>Bad gateway</html>"))
    assert type(problem) is KIND_BY_STATUS[status]
    assert problem.code == "unexpected-response"
