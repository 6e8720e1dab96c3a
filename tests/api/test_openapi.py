from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.serving import Served


@pytest.fixture
def document(api: Served) -> dict[str, Any]:
    document: dict[str, Any] = api.get("/openapi.json")
    return document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_it_is_openapi_3_1_and_complete(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    for reference in references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_operation_has_a_name_of_its_own_and_may_be_a_problem(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(document):
        problem = operation["responses"]["default"]["content"]["application/problem+json"]
        assert problem["schema"]["$ref"].endswith("/ProblemDetails"), (path, method)
        assert "_" not in operation["operationId"]
        declared = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "path"}
        assert declared == {part[1:-1] for part in path.split("/") if part.startswith("{")}, path


def test_what_starlette_serves_is_documented(document: dict[str, Any]) -> None:
    submit = document["paths"]["/v1/jobs"]["post"]
    assert submit["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/SubmitJob")
    assert {item["name"] for item in submit["parameters"]} == {"Idempotency-Key", "Prefer", "async_mode"}
    assert {"200", "202"} <= set(submit["responses"])
    get = document["paths"]["/v1/jobs/{job_id}"]["get"]
    assert {item["name"] for item in get["parameters"]} == {"job_id", "wait", "include", "If-None-Match"}
    fields = document["components"]["schemas"]["SubmitJob"]["properties"]
    assert fields["scheduled_at"]["anyOf"][0] == {"type": "string", "format": "date-time"}
