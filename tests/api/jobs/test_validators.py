"""Validators of payloads are code of users, and run in the api."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import httpx
import pytest
from pydantic import AfterValidator

from callboard.actors.types.registry import Registry, job

AsProblem = Callable[[httpx.Response, int, str], dict[str, Any]]


def fail(*_: object) -> NoReturn:
    raise RuntimeError("not to be looked at")


class Silent(Exception):
    __str__ = __bool__ = fail


class Unsaid(ValueError):
    __str__ = fail


def endless() -> NoReturn:
    endless()


RAISED: dict[str, BaseException] = {
    kind.__name__: kind("s3cr3t")
    for kind in (KeyError, SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, Silent)
}


def validated(value: str) -> str:
    match value:
        case "RecursionError":
            endless()
        case "odd":
            raise ValueError("must be even")
        case "assert":
            raise AssertionError("must be even")
        case "unsaid":
            raise Unsaid
        case _:
            raise RAISED[value]


@pytest.fixture
def registry(registry: Registry) -> Registry:
    @job("test.raises", into=registry)
    def raises(payload: dict[str, Annotated[str, AfterValidator(validated)]]) -> None:
        raise NotImplementedError

    return registry


@pytest.mark.parametrize("kind", [*RAISED, "RecursionError"])
def test_a_validator_that_raises_is_named(
    client: httpx.Client, as_problem: AsProblem, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.post("/v1/jobs", json={"type": "test.raises", "payload": {"name": kind}})

    problem = as_problem(answer, 422, "invalid-input")
    detail = f"a validator of job type 'test.raises' raised {kind}"
    assert problem["errors"] == [{"detail": detail, "pointer": "/payload"}]
    assert detail in problem["detail"]
    assert "s3cr3t" not in answer.text
    [line] = [record for record in caplog.records if record.getMessage() == "payload_validator_failed"]
    assert line.job_type == "test.raises"  # type: ignore[attr-defined]
    assert "in validated" in line.traceback  # type: ignore[attr-defined]
    assert client.get("/livez").status_code == 200


def test_its_place_is_that_in_the_request(client: httpx.Client, as_problem: AsProblem) -> None:
    body = {"jobs": [{"type": "test.job", "payload": 1}, {"type": "test.raises", "payload": {"name": "KeyError"}}]}
    batch = as_problem(client.post("/v1/jobs/batch", json=body), 422, "invalid-input")
    run = as_problem(client.post("/v1/run/test.raises", json={"name": "SystemExit"}), 422, "invalid-input")

    assert [error["pointer"] for error in batch["errors"] + run["errors"]] == ["/jobs/1/payload", ""]


@pytest.mark.parametrize(("value", "detail"), [("odd", "must be even"), ("assert", "must be even")])
def test_a_validator_that_refuses_speaks_for_itself(
    client: httpx.Client, as_problem: AsProblem, value: str, detail: str
) -> None:
    answer = client.post("/v1/jobs", json={"type": "test.raises", "payload": {"name": value}})

    assert as_problem(answer, 422, "invalid-input")["errors"] == [{"detail": detail, "pointer": "/payload/name"}]


def test_a_refusal_without_words_is_one(client: httpx.Client, as_problem: AsProblem) -> None:
    answer = client.post("/v1/jobs", json={"type": "test.raises", "payload": {"name": "unsaid"}})

    [error] = as_problem(answer, 422, "invalid-input")["errors"]
    assert error["pointer"].startswith("/payload")
