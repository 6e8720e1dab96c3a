"""The results of an endpoint as a job: what the body of its response would be."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi.encoders import jsonable_encoder
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, WithJsonSchema
from starlette.exceptions import HTTPException
from starlette.responses import Response

from callboard.actors.types.http_errors import raise_if_final


class Results:
    """The results of one route. Its response model and its options apply as they do to responses."""

    def __init__(self, route: APIRoute) -> None:
        """
        Raises:
            pydantic.PydanticUserError: the response model has no JSON form.
        """
        self._model: TypeAdapter[Any] | None = TypeAdapter(route.response_model) if route.response_model else None
        self._options: dict[str, Any] = {
            "include": route.response_model_include,
            "exclude": route.response_model_exclude,
            "by_alias": route.response_model_by_alias,
            "exclude_unset": route.response_model_exclude_unset,
            "exclude_defaults": route.response_model_exclude_defaults,
            "exclude_none": route.response_model_exclude_none,
        }

    @property
    def adapter(self) -> TypeAdapter[Any]:
        """Has the JSON schema of what :meth:`body` returns, and serializes it."""
        if self._model is None:
            return TypeAdapter(Any)
        schema = self._model.json_schema(mode="serialization", by_alias=self._options["by_alias"])
        return TypeAdapter(Annotated[Any, WithJsonSchema(schema)])

    def body(self, value: Any) -> Any:
        """Return the JSON value of what the endpoint returned.

        Raises:
            pydantic.ValidationError: the value does not fit the response model.
            HTTPClientError, HTTPException: it is a response with status 4xx or 5xx.
            TypeError: it is a response without JSON.
        """
        if isinstance(value, Response):
            return _body_of(value)
        if self._model is None:
            return jsonable_encoder(value)
        validated = self._model.validate_python(value, from_attributes=True)
        return self._model.dump_python(validated, mode="json", **self._options)


def _body_of(response: Response) -> Any:
    content = getattr(response, "body", None)
    if response.status_code >= 400:
        detail = bytes(content or b"").decode(errors="replace")
        raise_if_final(response.status_code, detail)
        raise HTTPException(response.status_code, detail)
    if content == b"":
        return None
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if content is None or not (media_type == "application/json" or media_type.endswith("+json")):
        raise TypeError(f"The endpoint returned a {type(response).__name__}, and a job's result has to be JSON.")
    return json.loads(bytes(content))
