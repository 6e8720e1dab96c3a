"""Builders of OpenAPI operations and of their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from callboard.api.openapi import models
from callboard.api.openapi.headers import Header

Document = dict[str, Any]

#: Names of the security schemes.
BEARER: Final = "bearer"
TICKET: Final = "streamTicket"

#: The key under which an operation lists its problems; :func:`callboard.api.openapi.document.document` replaces it.
PROBLEMS: Final = "x-problems"


def operation(
    answered: Mapping[int, Document],
    *,
    problems: Sequence[str | int] = (),
    parameters: Sequence[Document] = (),
    body: Document | None = None,
    by_ticket: bool = False,
) -> Document:
    """Return the arguments of a route's decorator.

    Args:
        answered: the responses that are no problems, by status; the first is the usual one.
        problems: codes of problems besides those of every such operation, or statuses of problems without a code.
        parameters: those that the endpoint parses itself.
        body: of the request, if the endpoint parses it itself.
        by_ticket: whether a stream ticket in the query authenticates, too.
    """
    extra: Document = {PROBLEMS: list(problems)}
    if parameters:
        extra["parameters"] = list(parameters)
    if body is not None:
        extra["requestBody"] = body
    if by_ticket:
        extra["security"] = [{BEARER: []}, {TICKET: []}]
    return {"status_code": next(iter(answered)), "responses": dict(answered), "openapi_extra": extra}


def response(
    model: type[BaseModel],
    description: str,
    *,
    sent: Mapping[str, Header] | None = None,
    links: Document | None = None,
) -> Document:
    """Return a response in JSON.

    Args:
        model: of its body.
        description: what it means.
        sent: its headers, by name.
        links: to operations that take values of it.
    """
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
    """Return the response of an operation that lists ``model`` on pages."""
    return response(models.Page[model], "OK", links=links)  # type: ignore[valid-type]


def links_by(parameter: str, source: str, *operations: str, where: str = "path") -> Document:
    """Return links to operations.

    Args:
        parameter: of these operations.
        source: its value, a runtime expression of OpenAPI.
        operations: their ids.
        where: the parameter is in: path, query, header or cookie.
    """
    return {name: {"operationId": name, "parameters": {f"{where}.{parameter}": source}} for name in operations}
