"""Request bodies: JSON, validated by a model."""

from __future__ import annotations

import re
from typing import Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json
from starlette.requests import ClientDisconnect

from callboard.api.errors import MalformedBody, UnsupportedMediaType
from callboard.db.errors import FieldError, InvalidInput
from callboard.db.rules.findings import finding
from callboard.db.rules.json_values import is_suspicious, unstorable

Model = TypeVar("Model", bound=BaseModel)

_JSON: Final = re.compile(r"application/([\w.-]+\+)?json", re.IGNORECASE)

#: Most errors that one response lists; more would not help a client.
_MOST_ERRORS: Final = 100


async def json_body(request: Request) -> bytes:
    """Return the body of a request whose Content-Type is JSON.

    Requiring the media type also keeps web pages of other origins from posting here: browsers send JSON across origins
    only after a preflight request.

    Raises:
        UnsupportedMediaType: the Content-Type is missing, or another one.
        TooLarge: the body has more bytes than allowed.
        ClientDisconnect: the client has closed the connection.
    """
    media_type = request.headers.get("content-type", "")
    if media_type != "application/json" and _JSON.fullmatch(media_type.partition(";")[0].strip()) is None:
        shown = repr(media_type[:100]) if media_type else "missing"
        raise UnsupportedMediaType(f"Content-Type is {shown}; send application/json.")
    # As Request.body() does, without its async generator.
    chunks = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def parse(model: type[Model], body: bytes) -> Model:
    """Return the body as ``model``.

    Raises:
        MalformedBody: the body is not JSON.
        InvalidInput: the body does not fit the model, or holds a value that cannot be stored; each error has its
            pointer.
    """
    try:
        parsed = model.model_validate_json(body)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
        if details[0]["type"] == "json_invalid":
            raise MalformedBody(f"The body is not JSON: {details[0]['ctx']['error']}.") from None
        raise InvalidInput("The body does not fit.", field_errors(details)) from None
    if is_suspicious(body) and (refused := list(unstorable(from_json(body)))):
        raise InvalidInput("The body holds values that cannot be stored.", refused[:_MOST_ERRORS])
    return parsed


def field_errors(details: list[ErrorDetails], *prefix: object) -> list[FieldError]:
    """Return Pydantic's errors as those of the domain, with ``prefix`` before each location."""
    return [finding(item, *prefix) for item in details[:_MOST_ERRORS]]
