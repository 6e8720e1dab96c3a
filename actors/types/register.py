"""Plain functions and existing handlers as job types, by name, without changing them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any, Unpack

from callboard.actors.types.arguments import Arguments
from callboard.actors.types.http_errors import client_errors_are_final
from callboard.actors.types.loading import import_module
from callboard.actors.types.options import JobOptions, fields_of
from callboard.actors.types.registry import JobType, Registry, registry
from callboard.actors.types.run import Run
from callboard.actors.types.signatures import first_paragraph, json_adapter, source_of
from callboard.db.errors import ConfigurationError


def register(
    name: str, handler: str | Callable[..., Any], *, into: Registry = registry, **options: Unpack[JobOptions]
) -> JobType:
    """Make a function a job type. Its parameters are the keys of the payload, validated by their annotations.

    A parameter annotated :class:`Run` gets the run. The result is stored through the return annotation.
    Only what is registered can be submitted; a name may look like a path, such as ``"/api/v1/extract"``.

    Args:
        name: what clients submit as ``type``.
        handler: the function, or its path: ``"package.module:function"``.
        into: the registry that gets the job type.
        options: as for :func:`job`.

    Raises:
        ConfigurationError: there is no such function, a parameter cannot come from a payload, the name is taken or an
            option is out of range. The message names the place of this call.
    """
    place = _caller()
    function = _load(handler, f"register({name!r}, {handler!r}) at {place}") if isinstance(handler, str) else handler
    owner = f"Job type {name!r}, registered at {place}"
    parameters = _parameters(function, owner)
    runs = [parameter.name for parameter in parameters if parameter.annotation is Run]
    arguments = Arguments(owner, [parameter for parameter in parameters if parameter.name not in runs])

    def call(payload: dict[str, Any], run: Run) -> Any:
        with client_errors_are_final():
            return function(**arguments.of(payload), **dict.fromkeys(runs, run))

    async def call_async(payload: dict[str, Any], run: Run) -> Any:
        with client_errors_are_final():
            return await function(**arguments.of(payload), **dict.fromkeys(runs, run))

    is_async = inspect.iscoroutinefunction(function)
    fields: dict[str, Any] = {"description": first_paragraph(function), **fields_of(options, owner)}
    job_type = JobType(
        name=name,
        function=call_async if is_async else call,
        payload=arguments.adapter,
        result=json_adapter(_hints(function, owner).get("return", Any), "result", name, place),
        is_async=is_async,
        source=f"{source_of(function)} (registered at {place})",
        **fields,
    )
    into.add(job_type)
    return job_type


def _caller() -> str:
    """Return the place that called the caller of this function."""
    frame = inspect.currentframe()
    frame = frame and frame.f_back and frame.f_back.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown place"


def _load(path: str, where: str) -> Callable[..., Any]:
    module_name, colon, attributes = path.partition(":")
    if not (module_name and colon and attributes):
        raise ConfigurationError(f"{where}: a handler is named like 'package.module:function'.")
    target: Any = import_module(module_name, f"{where}: the module {module_name!r}")
    for attribute in attributes.split("."):
        try:
            target = getattr(target, attribute)
        except AttributeError as error:
            raise ConfigurationError(f"{where}: {module_name!r} has no {attributes!r}.") from error
    if not callable(target) or isinstance(target, type):
        raise ConfigurationError(f"{where}: this is a {type(target).__name__}, not a function.")
    handler: Callable[..., Any] = target
    return handler


def _parameters(function: Callable[..., Any], owner: str) -> list[inspect.Parameter]:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{owner}: a function that yields has no result. Let it return.")
    hints = _hints(function, owner)
    return [
        parameter.replace(annotation=hints.get(parameter.name, parameter.annotation))
        for parameter in inspect.signature(function).parameters.values()
    ]


def _hints(function: Callable[..., Any], owner: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise ConfigurationError(f"{owner}: the function's annotations cannot be read: {error}") from error
