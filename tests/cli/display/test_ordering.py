"""Results are shown in the order of their type's fields."""

from __future__ import annotations

from pydantic import BaseModel

from callboard.cli.display.ordering import in_schema_order


class Column(BaseModel):
    name: str
    max: int | None = None


class Report(BaseModel):
    rows: int
    columns: list[Column]
    by_name: dict[str, Column] | None = None


def test_fields_come_as_the_model_declares_them_at_every_depth() -> None:
    stored = {"columns": [{"max": 1, "name": "a"}], "rows": 2}
    shown = in_schema_order(stored, Report.model_json_schema())
    assert list(shown) == ["rows", "columns"]
    assert list(shown["columns"][0]) == ["name", "max"]
    assert shown == stored


def test_what_the_schema_does_not_know_follows_as_it_is() -> None:
    shown = in_schema_order({"later": {"z": 1, "a": 2}, "rows": 1}, Report.model_json_schema())
    assert list(shown) == ["rows", "later"]
    assert list(shown["later"]) == ["z", "a"]


def test_any_value_without_a_schema_stays() -> None:
    for value in (None, 1, "x", [1, {"b": 1, "a": 2}], {"b": 1}):
        assert in_schema_order(value, {}) == value
