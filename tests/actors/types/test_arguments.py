"""The parameters of a function as a payload: what a worker gets is what was given, or it is refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationError
from pydantic_core import to_json

from callboard.actors.types.arguments import Arguments
from callboard.db.errors import ConfigurationError


class Colour(Enum):
    RED = "r"


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = Field(9, alias="nineLives")


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    made: str = Field(default_factory=lambda: uuid4().hex)


class Bigger(Cat):
    more: int = 1


class Order(BaseModel):
    name: str
    count: int = 1


@dataclass
class Point:
    x: int
    y: float = 0.5


def of(function: Callable[..., Any]) -> Arguments:
    return Arguments("Function", inspect.signature(function, eval_str=True).parameters.values())


def there_and_back(arguments: Arguments, given: dict[str, Any]) -> dict[str, Any]:
    """Return what a worker calls the function with."""
    return arguments.of(arguments.adapter.validate_json(to_json(arguments.payload(given))))


def many(
    pet: Annotated[Cat | Dog, Field(discriminator="kind")],
    when: datetime,
    points: list[Point],
    amounts: dict[str, Decimal],
    names: set[str],
    colour: Colour = Colour.RED,
    wait: timedelta = timedelta(seconds=1),
    key: UUID | None = None,
    none: int = None,  # type: ignore[assignment]  # noqa: RUF013 - seen in the wild
) -> None: ...


MANY: dict[str, Any] = {
    "pet": Cat(kind="cat", nineLives=7),
    "when": datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    "points": [Point(1, 2.25)],
    "amounts": {"tea": Decimal("1.10")},
    "names": {"a", "b"},
}


def test_values_of_all_kinds_survive() -> None:
    given = {**MANY, "colour": Colour.RED, "wait": timedelta(1), "key": uuid4(), "none": None}
    back = there_and_back(of(many), given)
    assert back == {name: value for name, value in given.items() if name != "none"}
    assert there_and_back(of(many), MANY) == MANY


def test_a_model_remembers_what_was_set() -> None:
    def function(order: Order) -> None: ...

    back = there_and_back(of(function), {"order": Order(name="a")})
    assert back["order"].model_fields_set == {"name"}


def test_what_a_factory_made_up_stays() -> None:
    dog = Dog()
    assert there_and_back(of(many), {**MANY, "pet": dog})["pet"] == dog


@given(
    st.dictionaries(
        st.text(),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    )
)
def test_plain_json_survives(value: dict[str, Any]) -> None:
    def function(value: dict[str, Any]) -> None: ...

    assert there_and_back(of(function), {"value": value}) == {"value": value}


def shout(text: str) -> str:
    return text + "!"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (SecretStr, SecretStr("hidden")),
        (Annotated[str, AfterValidator(shout)], "a!"),
        (Cat, Bigger(nineLives=1)),
        (bytes, b"\xff"),
        (float, float("inf")),
    ],
)
def test_a_value_that_would_change_on_the_way_is_refused(annotation: Any, value: Any) -> None:
    parameter = inspect.Parameter("given", inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
    arguments = Arguments("Function f", [parameter])
    with pytest.raises(TypeError, match=r"Function f: the value of parameter 'given'") as caught:
        arguments.payload({"given": value})
    assert "hidden" not in str(caught.value)


def test_keys_are_parameters_whatever_their_aliases_say() -> None:
    def function(
        size: Annotated[int, Field(alias="s", gt=0, description="How many.")],
        model_config: str = Field("m", alias="other"),
        json: list[int] = Field(default_factory=lambda: [1]),  # noqa: B008
    ) -> None: ...

    arguments = of(function)
    assert arguments.of(arguments.adapter.validate_python({"size": 1})) == {"size": 1, "model_config": "m", "json": [1]}
    schema = arguments.adapter.json_schema()
    assert schema["required"] == ["size"]
    assert schema["properties"]["size"]["exclusiveMinimum"] == 0
    assert schema["properties"]["size"]["description"] == "How many."
    for wrong in ({"size": 0}, {"s": 1}, {"size": 1, "other": "x"}):
        with pytest.raises(ValidationError):
            arguments.adapter.validate_python(wrong)


def positional(first: int, /) -> None: ...
def spread(*rest: int) -> None: ...
def named(**rest: int) -> None: ...


class Foreign: ...


def untold(thing: Foreign) -> None: ...
def sentinel(thing: int = Foreign()) -> None: ...  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (positional, "'first' can only be given by position"),
        (spread, r"'\*rest: int' takes any number"),
        (named, r"'\*\*rest: int' takes any number"),
        (untold, "'thing' is of a type that has no JSON form"),
        (sentinel, "'thing' has a default"),
    ],
)
def test_parameters_that_no_payload_can_hold(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^Function: parameter {message}"):
        of(function)
