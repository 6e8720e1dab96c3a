"""The parameters of a function as one payload: a JSON object with a key for each parameter."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, NoReturn, get_args, get_origin

import typing_extensions
from pydantic import ConfigDict, Field, PydanticUserError, TypeAdapter, with_config
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from callboard.db.errors import ConfigurationError

_MISSING: Final = inspect.Parameter.empty
_SPREAD: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class _Argument:
    """One parameter, as its annotation and its default describe it."""

    annotation: Any
    is_required: bool
    defaults: dict[str, Any] = field(default_factory=dict)
    """By name: the real default, where the function's own only describes one (``Query(10)``)."""


class Arguments:
    """A function's arguments by name. Constraints are kept; aliases are not: keys are the parameters' names.

    Descriptions of parameters (``Field``, and FastAPI's ``Query``, ``Body`` and the like) are read in an ``Annotated``
    and as a default.
    """

    def __init__(self, owner: str, parameters: Iterable[inspect.Parameter]) -> None:
        """
        Args:
            owner: name of the function in errors, such as ``Job type 'a.b' at file:line``.
            parameters: with their annotations evaluated.

        Raises:
            ConfigurationError: a parameter cannot come from a payload; the message names it.
        """
        self._owner = owner
        self._adapters: dict[str, TypeAdapter[Any]] = {}
        self._defaults: dict[str, Any] = {}
        self._own_defaults: dict[str, Any] = {}
        fields: dict[str, Any] = {}
        for parameter in parameters:
            argument = self._read(parameter)
            self._adapters[parameter.name] = self._adapter(parameter.name, argument.annotation)
            self._defaults |= argument.defaults
            self._own_defaults[parameter.name] = argument.defaults.get(parameter.name, parameter.default)
            fields[parameter.name] = (
                argument.annotation if argument.is_required else typing_extensions.NotRequired[argument.annotation]
            )
        make: Any = typing_extensions.TypedDict
        self.adapter: TypeAdapter[Any] = TypeAdapter(with_config(ConfigDict(extra="forbid"))(make("Arguments", fields)))
        """Validates a payload to its arguments."""

    def of(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return the function's arguments for a payload that :attr:`adapter` has validated."""
        return {**self._defaults, **payload}

    def payload(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the payload, as plain JSON values, from which a worker gets the same arguments.

        Raises:
            TypeError: a value changes on the way through JSON (a ``SecretStr``, a validator that is not idempotent);
                the message has the parameter's name, and never the value.
        """
        payload = {}
        for name, value in arguments.items():
            try:
                payload[name] = self._to_json(name, value)
            except TypeError:
                # As in ``limit: int = None``: left out, the worker uses the same default.
                if value is not self._own_defaults[name]:
                    raise
        return payload

    def _to_json(self, name: str, value: Any) -> Any:
        adapter = self._adapters[name]
        # First without a model's unset fields; then with them, as a default_factory may make another value each time.
        for exclude_unset in (True, False):
            try:
                dumped = adapter.dump_python(
                    value, mode="json", by_alias=True, round_trip=True, warnings="error", exclude_unset=exclude_unset
                )
                # NaN and infinity become null, and so differ from the value.
                if adapter.validate_json(to_json(dumped, inf_nan_mode="null")) == value:
                    return dumped
            except ValueError:  # Pydantic's own errors, and those of encodings
                continue
        raise TypeError(
            f"{self._owner}: the value of parameter {name!r} (a {type(value).__name__}) does not come out of JSON as "
            "it went in, so no job can be called with it."
        )

    def _read(self, parameter: inspect.Parameter) -> _Argument:
        if parameter.kind in _SPREAD:
            self.refuse(str(parameter), "takes any number of arguments. Name each of them")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            self.refuse(parameter.name, "can only be given by position. Remove the '/' after it")
        annotation = Any if parameter.annotation is _MISSING else parameter.annotation
        described = parameter.default if isinstance(parameter.default, FieldInfo) else None
        if described is not None:
            return _Argument(_plain(annotation, described), described.is_required(), _default_of(parameter, described))
        if parameter.default is _MISSING:
            return _Argument(_plain(annotation), is_required=True)
        try:
            shown = to_jsonable_python(parameter.default)
        except PydanticSerializationError:
            self.refuse(parameter.name, f"has a default, {parameter.default!r}, without a JSON form")
        return _Argument(Annotated[_plain(annotation), Field(json_schema_extra={"default": shown})], is_required=False)

    def _adapter(self, name: str, annotation: Any) -> TypeAdapter[Any]:
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(annotation)
            adapter.json_schema(mode="validation")
        except PydanticUserError as error:
            self.refuse(
                name,
                f"is of a type that has no JSON form ({error.message.splitlines()[0]}). "
                "Use a Pydantic model or plain JSON types",
            )
        return adapter

    def refuse(self, parameter: str, why: str) -> NoReturn:
        """Raise the error of a parameter that no job can have.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(f"{self._owner}: parameter {parameter!r} {why}.")


def _plain(annotation: Any, described: FieldInfo | None = None) -> Any:
    """Return the annotation with the constraints of its descriptions, and without alias and origin (query, body…)."""
    base, *extras = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if described is not None:
        extras.append(described)
    metadata: list[Any] = []
    for extra in extras:
        if isinstance(extra, FieldInfo):
            metadata.append(
                Field(
                    title=extra.title,
                    description=extra.description,
                    examples=extra.examples,
                    discriminator=extra.discriminator,
                )
            )
            metadata += extra.metadata
        else:
            metadata.append(extra)
    for extra in metadata:
        base = Annotated[base, extra]
    return base


def _default_of(parameter: inspect.Parameter, described: FieldInfo) -> dict[str, Any]:
    if described.is_required():
        return {}
    return {parameter.name: described.get_default(call_default_factory=True, validated_data={})}
