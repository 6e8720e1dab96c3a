"""Parts of what the OpenAPI document says about an operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from callboard.api.openapi import models
from callboard.api.openapi.headers import Header

Document = dict[str, Any]

#: Where an operation names its problems, for :func:`callboard.api.openapi.document.document`, which takes it out.
PROBLEMS: Final = "x-problems"


def operation(
    answered: Mapping[int, Document],
    *,
    problems: Sequence[str | int] = (),
    parameters: Sequence[Document] = (),
    body: Document | None = None,
) -> Document:
    """Return the arguments of a route's decorator.

    Args:
        answered: the answers that are no problem, by status; the first is the usual one.
        problems: codes of problems that do not follow from what every such operation may answer, or statuses of those
            that have no code.
        parameters: those that the endpoint reads by itself.
        body: of the request, if the endpoint reads it by itself.
    """
    extra: Document = {PROBLEMS: list(problems)}
    if parameters:
        extra["parameters"] = list(parameters)
    if body is not None:
        extra["requestBody"] = body
    return {"status_code": next(iter(answered)), "responses": dict(answered), "openapi_extra": extra}


def answer(
    model: type[BaseModel],
    description: str,
    *,
    sent: Mapping[str, Header] | None = None,
    links: Document | None = None,
) -> Document:
    """Return an answer in JSON; ``sent``: its headers."""
    made: Document = {"model": model, "description": description}
    if sent:
        made["headers"] = dict(sent)
    if links:
        made["links"] = links
    return made


def body(model: type[BaseModel]) -> Document:
    """Return a request body in JSON; the model is one of :data:`callboard.api.openapi.operations.BODIES`."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def listed(model: type[BaseModel], links: Document | None = None) -> Document:
    """Return the answer of an operation that lists all there is."""
    return answer(models.Page[model], "OK", links=links)  # type: ignore[valid-type]


def links_by(parameter: str, source: str, *operations: str, where: str = "path") -> Document:
    """Return links to operations that take ``source``, a runtime expression, for ``parameter``."""
    return {name: {"operationId": name, "parameters": {f"{where}.{parameter}": source}} for name in operations}
