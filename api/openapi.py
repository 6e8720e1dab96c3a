"""The OpenAPI 3.1 document: what FastAPI makes of the routes, and what it cannot know."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import answers, documents, problems

_REF: Final = "#/components/schemas/{model}"
_SECURITY: Final = "bearer"
_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key or a token of the identity provider. A server open to its own machine needs neither.",
}
_FRAMEWORKS_OWN: Final = ("HTTPValidationError", "ValidationError")


def document(app: FastAPI) -> dict[str, Any]:
    """Return the document of all operations. Every one of them may also answer with a problem."""
    made = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for name in _FRAMEWORKS_OWN:
        schemas.pop(name, None)
    models: tuple[type[BaseModel], ...] = (*documents.BODIES, answers.ProblemDetails)
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    schemas |= definitions["$defs"]
    problem = {
        "description": "A problem; `code` says which.",
        "content": {
            problems.MEDIA_TYPE: {"schema": {"$ref": _REF.format(model=answers.ProblemDetails.__name__)}},
        },
    }
    made["components"]["securitySchemes"] = {_SECURITY: _BEARER}
    made["security"] = [{_SECURITY: []}]
    for path, operations in made["paths"].items():
        for operation in operations.values():
            if path == "/v1/version" or not path.startswith("/v1/"):
                operation["security"] = []
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = problem
    return made
