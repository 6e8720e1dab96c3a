"""The query of a request: parameters that its operation has, each once unless it is repeatable.

Anything else is refused. A parameter that is passed over, misspelt or of another API, narrows nothing: the answer is
everything, and looks like what was asked for.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, get_origin

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import ParamTypes
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams

from callboard.api.auth import stream_tickets
from callboard.db.errors import FieldError, InvalidInput
from callboard.db.rules.json_pointer import pointer

#: From 0 to 1, how alike two names are that are taken for each other.
_ALIKE: Final = 0.7
#: Most characters of a name that an error repeats.
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class QueryParameters:
    """The query parameters of one operation."""

    once: frozenset[str]
    repeatable: frozenset[str]

    @classmethod
    def of(cls, route: APIRoute) -> Self:
        """Return those that the OpenAPI document has: of the endpoint's signature, or that it parses itself."""
        schemas = {
            item["name"]: item["schema"].get("type") == "array"
            for item in (route.openapi_extra or {}).get("parameters", ())
            if item["in"] == "query"
        }
        if "security" in (route.openapi_extra or {}):
            schemas[stream_tickets.PARAMETER] = False  # by which such operations authenticate, too
        for field in get_flat_params(route.dependant):
            if getattr(field.field_info, "in_", None) is ParamTypes.query:
                schemas[field.alias] = get_origin(field.field_info.annotation) is list
        return cls(
            once=frozenset(name for name, is_repeatable in schemas.items() if not is_repeatable),
            repeatable=frozenset(name for name, is_repeatable in schemas.items() if is_repeatable),
        )

    def require_fit(self, query: QueryParams) -> None:
        """Require that the query has no other parameters, and none too often.

        Raises:
            InvalidInput: it has; there is an error for each such parameter.
        """
        wrong = [
            FieldError(detail, pointer(("query", name[:_SHOWN])))
            for name in query
            if (detail := self._wrong_with(name, len(query.getlist(name))))
        ]
        if wrong:
            raise InvalidInput(wrong[0].detail, wrong)

    def _wrong_with(self, name: str, times: int) -> str | None:
        if name in self.repeatable or (name in self.once and times == 1):
            return None
        if name in self.once:
            return f"The parameter {name} is given {times} times; give it once."
        names = sorted(self.once | self.repeatable)
        near = difflib.get_close_matches(name[:_SHOWN].lower(), names, n=1, cutoff=_ALIKE)
        hint = f" Did you mean {near[0]}?" if near else ""
        there_are = f" There are {', '.join(names)}." if names else " This operation has none."
        return f"There is no parameter {name[:_SHOWN]!r} here.{hint}{there_are}"


def of_operations(routes: Iterable[APIRoute]) -> Mapping[Callable[..., Any], QueryParameters]:
    """Return the parameters of each route that the OpenAPI document has, by its endpoint."""
    return {route.endpoint: QueryParameters.of(route) for route in routes if route.include_in_schema}


async def require_known_parameters(request: Request) -> None:
    """Require that the query fits the operation.

    Raises:
        InvalidInput: it does not.
    """
    if request.scope["query_string"]:
        operations: Mapping[Callable[..., Any], QueryParameters] = request.app.state.query_parameters
        operation = operations.get(request.scope["endpoint"])
        if operation is not None:
            operation.require_fit(request.query_params)
