"""The OpenAPI 3.1 document: FastAPI's, completed by problems, headers, examples and security."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from callboard.api.auth import stream_tickets
from callboard.api.errors import Forbidden, MalformedBody, MisdirectedRequest, Unauthenticated, UnsupportedMediaType
from callboard.api.openapi import examples, headers, history_operations, models, operations
from callboard.api.openapi.parts import BEARER, PROBLEMS, TICKET, Document
from callboard.api.openapi.problem_responses import problem_answers, problem_examples
from callboard.db.errors import InvalidInput, NotFound, TooLarge, Unavailable

_REF: Final = "#/components/schemas/{model}"
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key or a token of the identity provider. A server open to its own machine needs neither.",
}
_TICKET: Final = {
    "type": "apiKey",
    "in": "query",
    "name": stream_tickets.PARAMETER,
    "description": "A ticket for this stream, from makeStreamTicket, for clients that cannot send headers.",
}
_FASTAPI_SCHEMAS: Final = ("HTTPValidationError", "ValidationError")
_REQUEST_ID: Final = "X-Request-ID"
_CONTACT: Final = {"name": "Callboard"}
_LICENSE: Final = {"name": "Apache 2.0", "identifier": "Apache-2.0"}
_TAGS: Final = (
    {"name": "jobs", "description": "Submit, watch, change and list jobs."},
    {"name": "files", "description": "Files that payloads name, and that jobs make."},
    {"name": "job types", "description": "What can be submitted."},
    {"name": "history", "description": "Numbers about finished jobs, and the jobs themselves."},
    {"name": "system", "description": "Queues, workers and numbers."},
    {"name": "server", "description": "Probes, the version, and what problems mean. Open to everybody."},
)


def document(app: FastAPI) -> Document:
    """Return the document of all operations, each with all its possible problems."""
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    made["info"] |= {"license": _LICENSE, "contact": _CONTACT}
    made["servers"] = [{"url": "/", "description": "Where this document is served."}]
    made["tags"] = list(_TAGS)
    _add_components(made.setdefault("components", {}))
    made["security"] = [{BEARER: []}]
    codes = set[str | int]()
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            codes |= _complete(operation, path, method)
    made["components"]["examples"] = problem_examples(codes)
    return made


def _add_components(components: Document) -> None:
    schemas = components.setdefault("schemas", {})
    for name in _FASTAPI_SCHEMAS:
        schemas.pop(name, None)
    described: tuple[type[BaseModel], ...] = (*operations.BODIES, models.ProblemDetails)
    _, definitions = models_json_schema([(model, "validation") for model in described], ref_template=_REF)
    schemas |= definitions["$defs"]
    for schema in schemas.values():
        for shown in schema.get("properties", {}).values():
            # What has a default may be left out, and generators of TypeScript take it for what is always there.
            shown.pop("default", None)
    for name, example in {**examples.OF_SCHEMAS, **history_operations.EXAMPLES}.items():
        schemas[name]["examples"] = [example]  # FastAPI would leave the nulls out
    components["headers"] = {_REQUEST_ID: headers.REQUEST_ID}
    components["securitySchemes"] = {BEARER: _BEARER, TICKET: _TICKET}


def _complete(operation: Document, path: str, method: str) -> set[str | int]:
    """Add what all operations have, and return the codes of the problems that this one may respond with."""
    public = path == "/v1/version" or not path.startswith(("/v1/", "/metrics"))
    if public:
        operation["security"] = []
    responses = operation["responses"]
    responses.pop("422", None)  # FastAPI's own
    named = operation.pop(PROBLEMS, [])
    codes = {*named, *_usual_problems(operation, path, method, public=public)}
    responses |= problem_answers(codes)
    for response in responses.values():
        sent = {_REQUEST_ID: {"$ref": f"#/components/headers/{_REQUEST_ID}"}}
        response["headers"] = {**response.get("headers", {}), **sent}
    return codes


def _usual_problems(operation: Document, path: str, method: str, *, public: bool) -> set[str]:
    """Return the codes of the problems that all operations of this kind may respond with."""
    codes = {InvalidInput.code}  # a query parameter that it does not have
    if not public:
        codes |= {Unauthenticated.code, Forbidden.code, MisdirectedRequest.code, Unavailable.code}
    if "{" in path:
        codes.add(NotFound.code)
    if method != "get":
        codes.add(TooLarge.code)  # whether or not it reads its body
    if "application/json" in operation.get("requestBody", {}).get("content", {}):
        codes |= {MalformedBody.code, UnsupportedMediaType.code}
    return codes
