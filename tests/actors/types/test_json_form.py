"""What a handler gives is stored as it is given back, or refused with its place."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, PlainSerializer, TypeAdapter, ValidationError

from callboard.actors.types.json_form import ANYTHING, json_form
from callboard.actors.types.registry import Registry, job
from callboard.db.errors import InvalidInput, TooLarge
from callboard.db.rules.json_values import unstorable


class Sheet(BaseModel):
    sheet_name: str = Field(alias="sheetName")
    cells: dict[str, Any] = {}
    mean: float | None = None


@dataclasses.dataclass
class Point:
    x: float


class Colour(Enum):
    RED = "red"


def form(value: Any, adapter: TypeAdapter[Any] = ANYTHING) -> Any:
    return orjson.loads(json_form(value, adapter, what="It", max_bytes=10_000))


SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(st.characters())
KEYS = st.text(st.characters(), max_size=2) | st.integers(0, 3) | st.sampled_from(["0", "1", "true", "None"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.booleans() | st.none(), inner, max_size=4),
    max_leaves=8,
)


def plain(value: Any) -> Any:
    """Return what JSON is to make of a value: the names in its objects are text."""
    if isinstance(value, dict):
        return {name(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def name(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def size(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(size, value.values()))
    return sum(map(size, value)) if isinstance(value, list) else 1


@given(VALUES)
def test_all_is_given_back_or_refused(value: Any) -> None:
    expected = plain(value)
    if list(unstorable(expected)) or size(expected) < size(value):
        with pytest.raises(InvalidInput):
            form(value)
    else:
        assert form(value) == expected


@pytest.mark.parametrize(
    ("value", "place", "why"),
    [
        (math.nan, "", "finite"),
        ({"a": [1, math.inf]}, "/a/1", "finite"),
        ([None, {"b": {"c/d": -math.inf}}], "/1/b/c~1d", "finite"),
        ({"x": {math.nan}}, "/x/0", "finite"),
        (Point(math.nan), "/x", "finite"),
        ([Sheet(sheetName="a", mean=math.nan)], "/0/mean", "finite"),
        ({"sheet": Sheet(sheetName="a", cells={"A1": [math.nan]})}, "/sheet/cells/A1/0", "finite"),
        ({1: "one", "1": "uno"}, "", "two keys have the name '1'"),
        ({"a": [{None: 1, "None": 2}]}, "/a/0", "two keys have the name 'None'"),
        ([10**5000], "/0", "64 bits"),
        ({"n": [2**64]}, "/n/0", "64 bits"),
        ({"a": "nul\0"}, "/a", "NUL"),
        ({"a": ["half\ud800"]}, "/a/0", "surrogate"),
        ({"nul\0": 1}, "", "NUL"),
    ],
)  # fmt: skip
def test_a_value_that_would_change_is_refused_with_its_place(value: Any, place: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as caught:
        form(value)

    assert [error.pointer for error in caught.value.errors] == [place]
    assert f"It cannot be stored{f' at {place}' if place else ''}: " in str(caught.value)


def test_all_that_is_wrong_is_counted() -> None:
    with pytest.raises(InvalidInput, match=r"at /0: a number must be finite; null takes its place \(and 149 more\)"):
        form([math.nan] * 150)


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (deep(203), "nested deeper than 200 levels"),
        (deep(2000), "no JSON form"),
        (object(), "no JSON form"),
        (Odd(), "no JSON form"),
        (b"\xff", "no JSON form"),
        ({"a": lambda: None}, "no JSON form"),
    ],
)
def test_what_has_no_json_form(value: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        form(value)
    assert form(deep(200)) == deep(200)


def test_a_list_that_holds_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InvalidInput, match="Circular"):
        form(value)


def test_what_is_too_large() -> None:
    with pytest.raises(TooLarge, match="It has 10002 bytes, the limit is 10000"):
        form("x" * 10_000)


def test_ordinary_python_has_its_usual_form() -> None:
    value = {"at": datetime(2026, 1, 2, tzinfo=UTC), "what": Colour.RED, "of": (1, 2), 5: None}
    assert form(value) == {"at": "2026-01-02T00:00:00Z", "what": "red", "of": [1, 2], "5": None}
    assert form(number for number in (1, 2, None)) == [1, 2, None]
    assert form([1e20, 2.5, -0.0, 2**63]) == [1e20, 2.5, 0.0, 2**63]


def test_null_is_fine_where_a_serializer_means_it() -> None:
    adapter = TypeAdapter[Any](Annotated[float, PlainSerializer(lambda value: value if math.isfinite(value) else None)])
    assert form(math.nan, adapter) is None


def test_results_have_the_names_of_their_schema() -> None:
    types = Registry()

    @job("sheet.read", into=types)
    def read(payload: int) -> Sheet:
        raise NotImplementedError

    made = types.get("sheet.read")
    names = made.result.json_schema(mode="serialization")["properties"]
    for returned in (Sheet(sheetName="a"), {"sheetName": "a"}, {"sheet_name": "a"}):
        result = orjson.loads(made.result_json(returned, max_bytes=1000))
        assert result == {"sheetName": "a", "cells": {}, "mean": None}
        assert result.keys() <= names.keys()
    assert form([Sheet(sheetName="a")])[0].keys() == names.keys(), "also where nothing is declared"


class Wide(Sheet):
    secret: str = "s3cr3t"


def test_results_have_what_is_declared_and_no_more() -> None:
    types = Registry()

    @job("sheet.read", into=types)
    def read(payload: int) -> Sheet:
        raise NotImplementedError

    assert b"s3cr3t" not in types.get("sheet.read").result_json(Wide(sheetName="a"), max_bytes=1000)


@pytest.mark.parametrize(
    ("declared", "returned", "stored"),
    [(int, "5", 5), (list[int], (1, 2), [1, 2]), (Point, {"x": 1}, {"x": 1.0}), (None, None, None), (Any, "x", "x")],
)
def test_results_become_their_declared_type(declared: Any, returned: Any, stored: Any) -> None:
    types = Registry()

    def read(payload: int) -> Any: ...

    read.__annotations__["return"] = declared
    job("read", into=types)(read)
    assert orjson.loads(types.get("read").result_json(returned, max_bytes=100)) == stored


@pytest.mark.parametrize(
    ("declared", "returned"), [(int, "x"), (int, None), (list[int], ["x"]), (Sheet, {}), (None, 5), (str, 5)]
)
def test_results_of_another_type_are_refused(declared: Any, returned: Any) -> None:
    types = Registry()

    def read(payload: int) -> Any: ...

    read.__annotations__["return"] = declared
    job("read", into=types)(read)
    with pytest.raises(ValidationError):
        types.get("read").result_json(returned, max_bytes=100)
