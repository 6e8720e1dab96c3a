"""The parameters of an endpoint: those in the job's payload, and those that a worker resolves again."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import params
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant
from fastapi.security.base import SecurityBase

from callboard.actors.types.arguments import Arguments
from callboard.db.errors import ConfigurationError
from callboard.integrations.fastapi.dependencies import is_async, needs_request

#: Headers with a credential. A payload is stored, and visible to everyone who may see the job.
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
#: Why a worker lacks an argument that FastAPI injects, by the attribute of ``Dependant`` with its name.
_INJECTED: Final = {
    "request_param_name": "is the request, which is over when a worker runs the job",
    "http_connection_param_name": "is the connection, which is gone when a worker runs the job",
    "websocket_param_name": "is a WebSocket, which a worker does not have",
    "response_param_name": "is the response, which has been sent when a worker runs the job. Return what it is to say",
    "background_tasks_param_name": "is for what follows the response; a job can do that itself before it ends",
    "security_scopes_param_name": "is about the request, which is over when a worker runs the job",
}


@dataclass(frozen=True)
class Parameters:
    """Where a worker gets the arguments of an endpoint from."""

    arguments: Arguments
    """Those in the payload."""
    payload_names: frozenset[str]
    resolved_again: tuple[Dependant, ...]
    """Dependencies that use nothing of the request, such as a database session; a worker resolves them again."""

    def payload(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the payload for a call with these values.

        Raises:
            TypeError: see :meth:`Arguments.payload`.
        """
        return self.arguments.payload({name: values[name] for name in values if name in self.payload_names})


def read_parameters(function: Callable[..., Any], owner: str) -> Parameters:
    """Return where a worker gets the arguments of an endpoint from.

    Args:
        function: the endpoint.
        owner: name of the endpoint in errors.

    Raises:
        ConfigurationError: it has a parameter that no worker can have; the message has its name and the reason.
    """
    dependant = get_dependant(path="", call=function)
    resolved_again = tuple(each for each in dependant.dependencies if not needs_request(each))
    may_await = inspect.iscoroutinefunction(function)
    for name, why in [*_obstacles(dependant), *_obstacles_in_dependencies(dependant, may_await=may_await)]:
        raise ConfigurationError(f"{owner}: parameter {name!r} {why}.")
    again = {each.name for each in resolved_again}
    hints = typing.get_type_hints(function, include_extras=True)
    in_payload = [
        _in_payload(parameter.replace(annotation=hints.get(parameter.name, parameter.annotation)), owner)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in again
    ]
    return Parameters(
        arguments=Arguments(owner, in_payload),
        payload_names=frozenset(parameter.name for parameter in in_payload),
        resolved_again=resolved_again,
    )


def _obstacles(dependant: Dependant) -> Iterator[tuple[str, str]]:
    """Yield the parameters that can be neither in a payload nor resolved again, each with the reason."""
    for attribute, why in _INJECTED.items():
        if name := getattr(dependant, attribute):
            yield name, why
    for field in dependant.cookie_params:
        yield field.name, "is a cookie, which may be a secret and would be stored in the job"
    for field in dependant.header_params:
        if field.alias.lower() in _SECRET_HEADERS:
            yield field.name, f"is the header {field.alias!r}, a secret that would be stored in the job"
    for field in dependant.body_params:
        if isinstance(field.field_info, params.File):
            yield field.name, "is an uploaded file. Let clients upload it to Callboard, and take its id"


def _obstacles_in_dependencies(dependant: Dependant, *, may_await: bool) -> Iterator[tuple[str, str]]:
    for each in dependant.dependencies:
        if isinstance(each.call, SecurityBase):
            yield str(each.name), "is a credential of the request, which would be stored in the job"
        if not needs_request(each) and is_async(each) and not may_await:
            yield str(each.name), "depends on an async function. Make the endpoint async, too"


def _in_payload(parameter: inspect.Parameter, owner: str) -> inspect.Parameter:
    """Return a parameter of the payload. The value of a dependency on the request has the annotation as its type."""
    annotated = typing.get_origin(parameter.annotation) is typing.Annotated
    base, *extras = typing.get_args(parameter.annotation) if annotated else (parameter.annotation,)
    if not any(isinstance(each, params.Depends) for each in (parameter.default, *extras)):
        return parameter
    if base is parameter.empty or base is Any:
        raise ConfigurationError(
            f"{owner}: parameter {parameter.name!r} depends on the request and says no type. Annotate it with the "
            "Pydantic model or plain JSON type that it is, so that it can travel to a worker."
        )
    return parameter.replace(default=parameter.empty)
