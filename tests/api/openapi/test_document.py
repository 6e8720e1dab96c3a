from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator

from callboard.api.wire.problems import PROBLEMS
from tests.support.serving import Served

PROBLEM = {"$ref": "#/components/schemas/ProblemDetails"}


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
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    used = set(references(document))
    for reference in used:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert schemas <= used, "nothing is described that is not used"


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in document["tags"]}
    for path, _, operation in operations(document):
        assert operation["operationId"].isalnum()
        assert operation["description"]
        assert set(operation["tags"]) <= tags
        declared = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "path"}
        assert declared == {part[1:-1] for part in path.split("/") if part.startswith("{")}, path


def test_every_operation_says_which_problems_it_may_answer_with(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        place = f"{method} {path}"
        answers = operation["responses"]
        assert "default" not in answers, "each status is named"
        problems = {status for status in answers if status >= "400"}
        for status in problems:
            content = answers[status]["content"]["application/problem+json"]
            assert content["schema"] == PROBLEM
            for code in content.get("examples", ()):
                assert str(PROBLEMS[code].status) == status, place
        if operation.get("security") != []:
            assert {"401", "403", "503"} <= problems, place
        if "{" in path:
            assert "404" in problems, place
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            assert {"400", "413", "415", "422"} <= problems, place
        assert "x-problems" not in operation


def test_every_answer_has_its_headers(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            headers = answer["headers"]
            assert "X-Request-ID" in headers, (method, path, status)
            assert (status not in {"429", "503"}) or headers["Retry-After"]["required"]
    submit = document["paths"]["/v1/jobs"]["post"]["responses"]
    assert {"Location", "Retry-After", "ETag", "Idempotency-Replayed", "Preference-Applied"} <= submit["202"][
        "headers"
    ].keys()
    assert {"Retry-After", "RateLimit", "RateLimit-Policy"} <= submit["429"]["headers"].keys()
    assert "WWW-Authenticate" in submit["401"]["headers"]
    assert "Link" in document["paths"]["/v1/jobs"]["get"]["responses"]["200"]["headers"]


def test_linters_find_nothing(document: dict[str, Any]) -> None:
    # The rules of Redocly's and Spectral's recommended sets that it once broke.
    assert document["info"]["contact"]
    for path, method, operation in operations(document):
        assert any(status.startswith("4") for status in operation["responses"]), (method, path)
    used = set(references(document))
    for kind in ("examples", "headers"):
        assert {f"#/components/{kind}/{name}" for name in document["components"][kind]} <= used

    def schemas_of_examples(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict):
            if "example" in value and "type" in value:
                yield value
            for item in value.values():
                yield from schemas_of_examples(item)
        elif isinstance(value, list):
            for item in value:
                yield from schemas_of_examples(item)

    for schema in document["components"]["schemas"].values():
        assert list(schemas_of_examples(schema.get("examples"))) == [], "Spectral takes this for a schema"


def test_what_may_be_left_out_is_optional_to_generators(document: dict[str, Any]) -> None:
    # openapi-typescript takes what has a default for what is always there.
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert "default" not in described, (name, field)
    submission = document["components"]["schemas"]["SubmitJob"]
    assert submission["required"] == ["type", "payload"]
    assert {"type": "null"} in submission["properties"]["tags"]["anyOf"]
    assert document["components"]["schemas"]["BulkFilter"].get("required") is None
    assert "payload" not in document["components"]["schemas"]["Job"]["required"]


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    root = {"components": document["components"]}
    components = document["components"]

    def check(schema: dict[str, Any], value: Any) -> None:
        validator = OAS31Validator({**root, **schema}, format_checker=oas31_format_checker)
        assert [error.message for error in validator.iter_errors(value)] == []

    for name, schema in components["schemas"].items():
        for example in schema.get("examples", ()):
            check({"$ref": f"#/components/schemas/{name}"}, example)
    for example in components["examples"].values():
        check(PROBLEM, example["value"])
    for _, _, operation in operations(document):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for described in (*bodies, *operation["responses"].values()):
            for media_type, content in described.get("content", {}).items():
                if media_type == "application/json":
                    named = content["schema"].get("$ref", "").rpartition("/")[2]
                    assert "example" in content or components["schemas"][named]["examples"]


def test_links_lead_to_operations_and_their_parameters(document: dict[str, Any]) -> None:
    parameters = {
        operation["operationId"]: {f"{item['in']}.{item['name']}" for item in operation.get("parameters", ())}
        for _, _, operation in operations(document)
    }
    links = [
        link
        for _, _, operation in operations(document)
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert links
    for link in links:
        assert link["parameters"].keys() <= parameters[link["operationId"]]


def test_what_starlette_serves_is_documented(document: dict[str, Any]) -> None:
    submit = document["paths"]["/v1/jobs"]["post"]
    assert submit["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/SubmitJob")
    assert {item["name"] for item in submit["parameters"]} == {"Idempotency-Key", "Prefer", "async_mode"}
    assert {"200", "202"} <= set(submit["responses"])
    get = document["paths"]["/v1/jobs/{job_id}"]["get"]
    assert {item["name"] for item in get["parameters"]} == {"job_id", "wait", "include", "If-None-Match"}
    fields = document["components"]["schemas"]["SubmitJob"]["properties"]
    assert fields["scheduled_at"]["anyOf"][0] == {"type": "string", "format": "date-time"}


def test_streams_are_documented_as_such(document: dict[str, Any]) -> None:
    of_job = document["paths"]["/v1/jobs/{job_id}/events"]["get"]["responses"]
    assert set(of_job["200"]["content"]) == {"application/json", "text/event-stream"}
    assert "204" in of_job
    assert set(document["paths"]["/v1/jobs/stream"]["get"]["responses"]["200"]["content"]) == {"text/event-stream"}
