"""Pointers lead into what was sent, whatever Pydantic puts between."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from callboard.actors.types.field_errors import field_errors
from callboard.actors.types.findings import first_findings


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["dog"]
    name: str
    friends: list[Dog | Cat] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    dog: Dog | None = None
    lives: int

    @model_validator(mode="after")
    def _lives(self) -> Self:
        if self.lives > 9:
            raise ValueError("a cat has nine lives")
        return self


def _short(text: str) -> str:
    if len(text) > 2:
        raise AssertionError("at most two letters")
    return text


Tagged = Annotated[Dog | Cat, Field(discriminator="kind")]
ByFunction = Annotated[
    Annotated[Dog, Tag("a/dog")] | Annotated[Cat, Tag("a/cat")], Discriminator(lambda value: f"a/{value['kind']}")
]


class Holder(BaseModel):
    pet: Tagged
    tags: dict[Annotated[str, Field(max_length=3)], str] = {}
    short: Annotated[str, AfterValidator(_short)] = ""
    many: dict[str, list[Tagged]] = {}


def places(kind: Any, value: Any) -> list[tuple[str, str]]:
    adapter = TypeAdapter[Any](kind)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    return [(error.pointer, error.detail) for error in field_errors(caught.value.errors(), value, "payload")]


def pointers(kind: Any, value: Any) -> list[str]:
    return [place for place, _ in places(kind, value)]


@pytest.mark.parametrize("kind", [Tagged, ByFunction])
def test_the_tag_of_a_union_is_no_part_of_the_pointer(kind: Any) -> None:
    assert pointers(kind, {"kind": "dog", "name": 1}) == ["/payload/name"]
    assert pointers(kind, {"kind": "dog"}) == ["/payload/name"]
    assert pointers(kind, {"kind": "dog", "name": "Rex", "tail": 1}) == ["/payload/tail"]


def test_a_tag_that_is_a_field_as_well_leads_to_the_right_one() -> None:
    of_the_cat = {"kind": "dog", "name": "Rex", "dog": {"kind": "dog", "name": "Rex"}}
    assert pointers(Tagged, of_the_cat) == ["/payload/dog"]
    assert pointers(Tagged, {"kind": "cat", "cat": {}, "dog": {"kind": "dog", "name": 1}, "lives": 1}) == [
        "/payload/dog/name"
    ]
    assert pointers(Tagged, {"kind": "cat", "cat": {"lives": 1}}) == ["/payload/lives"]


def test_members_of_an_untagged_union_and_what_is_in_lists_and_objects() -> None:
    assert pointers(Dog, {"kind": "dog", "name": "Rex", "friends": [{"kind": "dog"}]}) == [
        "/payload/friends/0/name",
        "/payload/friends/0/kind",
        "/payload/friends/0/lives",
    ]
    assert pointers(Holder, {"pet": {"kind": "dog", "name": "Rex"}, "many": {"a/b": [{"kind": "cat"}]}}) == [
        "/payload/many/a~1b/0/lives"
    ]
    assert pointers(int | str | list[int], {}) == ["/payload"] * 3
    assert pointers(list[int] | list[str], [1.5]) == ["/payload/0", "/payload/0"]


def test_a_name_that_does_not_fit_is_said_to_be_one() -> None:
    value = {"pet": {"kind": "dog", "name": "Rex"}, "tags": {"long": "x"}}
    assert places(Holder, value) == [("/payload/tags/long", "its name: String should have at most 3 characters")]


def test_what_a_validator_says_stands_alone() -> None:
    pet = {"kind": "cat", "lives": 10}
    assert places(Holder, {"pet": pet, "short": "long"}) == [
        ("/payload/pet", "a cat has nine lives"),
        ("/payload/short", "at most two letters"),
    ]


def test_a_hundred_errors_are_enough_and_none_is_said_twice() -> None:
    assert len(places(list[int], ["x"] * 1000)) == 100
    assert places(list[Literal[1]] | list[Annotated[Literal[1], Field()]], [2]) == [("/payload/0", "Input should be 1")]


def test_where_there_are_too_many_to_list_them_all() -> None:
    animals = [{"kind": "dog"}] * 2000
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[Tagged]).validate_python(animals)
    found = field_errors(first_findings(caught.value), animals, "payload")
    assert [error.pointer for error in found] == [f"/payload/{index}/name" for index in range(100)]
    tags = {"tags": {f"long{index}": "" for index in range(2000)}, "pet": {"kind": "dog", "name": "Rex"}}
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Holder).validate_python(tags)
    first = field_errors(first_findings(caught.value), tags)[0]
    assert (first.pointer, first.detail) == ("/tags/long0", "its name: String should have at most 3 characters")


def test_names_that_repeat_on_every_level_cost_little() -> None:
    class Node(BaseModel):
        a: Node | None = None
        b: int = 0

    value: dict[str, Any] = {"b": "x"}
    for _ in range(150):
        value = {"a": value}
    assert pointers(Node, value) == ["/payload" + "/a" * 150 + "/b"]
