"""Request bodies: JSON, validated by a model. Size and number of values are bounded before anything is parsed."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect

from callboard.actors.types.field_errors import field_errors
from callboard.actors.types.findings import MOST_FINDINGS, first_findings
from callboard.api.errors import MalformedBody, UnsupportedMediaType
from callboard.api.wire.body_threads import SMALL
from callboard.api.wire.json_scan import require_few_members, require_few_values
from callboard.api.wire.requests import Body
from callboard.db.errors import InvalidInput, TooLarge
from callboard.db.rules.json_values import is_suspicious, unstorable
from callboard.db.settings import Settings

Model = TypeVar("Model", bound=BaseModel)

_JSON: Final = re.compile(r"application/([\w.-]+\+)?json", re.IGNORECASE)

#: Bytes that the largest body has which is neither a job nor a batch of them.
_LARGEST_OTHER: Final = 512 * 2**10
#: Bytes that are searched for suspicious values at a time: other threads run in between.
_WINDOW: Final = 256 * 2**10
#: More than such a value needs to be recognised.
_OVERLAP: Final = 32
#: Bytes that a job has beside its payload: options, of which the tags may be largest.
_OPTIONS: Final = 512 * 2**10
#: Letters that are escaped (``\u00e9``) have three times the bytes that they have in the payload.
_ESCAPED: Final = 3


def largest_job(settings: Settings) -> int:
    """Return the most bytes that a job may have in a request. A batch may have more, as it is parsed in parts."""
    return min(settings.max_body_bytes, _ESCAPED * settings.max_payload_bytes + _OPTIONS)


async def json_body(request: Request, *, most: int = _LARGEST_OTHER) -> bytes:
    """Return the body of a request whose Content-Type is JSON.

    Requiring the media type also keeps web pages of other origins from posting here: browsers send JSON across origins
    only after a preflight request.

    Raises:
        UnsupportedMediaType: the Content-Type is missing, or another one.
        TooLarge: the body has more than ``most`` bytes, or more than any may have.
        ClientDisconnect: the client has closed the connection.
    """
    media_type = request.headers.get("content-type", "")
    if media_type != "application/json" and _JSON.fullmatch(media_type.partition(";")[0].strip()) is None:
        shown = repr(media_type[:100]) if media_type else "missing"
        raise UnsupportedMediaType(f"Content-Type is {shown}; send application/json.")
    # As Request.body() does, without its async generator.
    chunks = []
    received = 0
    declared = request.headers.get("content-length", "")
    while True:
        if received > most or (declared.isdecimal() and int(declared[:20]) > most):
            raise TooLarge(
                f"The body has more than {most} bytes, which is the most of this operation. "
                "Upload large data as a file (POST /v1/files) and name it in the payload."
            )
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        received += len(chunk)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def parse(model: type[Model], body: bytes) -> Model:
    """Return the body as ``model``.

    Raises:
        TooLarge: the body has more values than are parsed at a time.
        MalformedBody: the body is not JSON.
        InvalidInput: the body does not fit the model, or holds a value that cannot be stored; each error has its
            pointer.
    """
    require_few_values(body)
    if len(body) > SMALL and issubclass(model, Body):
        require_few_members(body)
    try:
        parsed = model.model_validate_json(body)
    except ValidationError as error:
        details = first_findings(error)
        if details[0]["type"] == "json_invalid":
            raise MalformedBody(f"The body is not JSON: {details[0]['ctx']['error']}.") from None
        raise InvalidInput("The body does not fit.", field_errors(details, from_json(body))) from None
    if _is_suspicious(body) and (refused := list(islice(unstorable(from_json(body)), MOST_FINDINGS))):
        raise InvalidInput("The body holds values that cannot be stored.", refused)
    return parsed


def _is_suspicious(body: bytes) -> bool:
    return any(is_suspicious(body[at : at + _WINDOW + _OVERLAP]) for at in range(0, len(body), _WINDOW))
