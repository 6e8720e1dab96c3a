"""The place, signature and description of a function."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import PydanticUserError, TypeAdapter

from callboard.actors.types.run import Run
from callboard.db.errors import ConfigurationError


def source_of(function: Callable[..., Any]) -> str:
    """Return the file and line where a function is defined, for messages."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else repr(function)


def signature_of(
    function: Callable[..., Any], name: str, source: str
) -> tuple[list[inspect.Parameter], Mapping[str, Any]]:
    """Return the parameters of a handler, (payload) or (payload, run), and its annotations.

    Raises:
        ConfigurationError: it has other parameters, or its annotations cannot be read.
    """
    if not callable(function):
        raise ConfigurationError(f"Job type {name!r}: @job expects a function, not {function!r}.")
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) != len(parameters) or len(parameters) not in (1, 2):
        raise ConfigurationError(
            f"Job type {name!r} at {source}: the function must take (payload) or (payload, run), "
            f"but takes ({', '.join(str(p) for p in parameters)})."
        )
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise ConfigurationError(f"Job type {name!r} at {source}: its annotations cannot be read: {error}") from error
    if len(parameters) == 2 and hints.get(parameters[1].name, Run) is not Run:
        raise ConfigurationError(
            f"Job type {name!r} at {source}: the second parameter is the Run, but is annotated "
            f"{hints[parameters[1].name]!r}. Write 'run: Run' (from callboard import Run)."
        )
    return parameters, hints


def json_adapter(annotation: Any, what: str, name: str, source: str) -> TypeAdapter[Any]:
    """Return the adapter that validates or serializes values of a type, and has its JSON schema.

    Args:
        annotation: the type.
        what: ``"payload"`` or ``"result"``.
        name, source: of the job type, for errors.

    Raises:
        ConfigurationError: the type has no JSON form.
    """
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        adapter.json_schema(mode="serialization" if what == "result" else "validation")
    except PydanticUserError as error:
        raise ConfigurationError(
            f"Job type {name!r} at {source}: its {what} type {annotation!r} has no JSON form: "
            f"{error.message.splitlines()[0]} "
            "Use a Pydantic model or plain JSON types."
        ) from error
    return adapter


def first_paragraph(function: Callable[..., Any]) -> str:
    """Return the beginning of a function's docstring on one line, empty without one."""
    doc = inspect.getdoc(function) or ""
    return " ".join(doc.split("\n\n", 1)[0].split())
