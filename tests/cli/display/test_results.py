from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from callboard.cli.display.results import render

REPORT: dict[str, Any] = {
    "rows": 50_000,
    "duplicate_rows": 0,
    "columns": [
        {
            "name": "station_id",
            "type": "integer",
            "nulls": 0,
            "distinct": 50_000,
            "min": 1,
            "max": 50_000,
            "mean": 25_000.5,
            "quantiles": [{"quantile": 0.25, "value": 12_500.2}, {"quantile": 0.5, "value": 25_000.5}],
            "most_frequent": [],
        },
        {
            "name": "city",
            "type": "text",
            "nulls": 12,
            "distinct": 40,
            "min": "Aachen",
            "max": "Zwickau",
            "mean": None,
            "quantiles": [],
            "most_frequent": [{"value": "Berlin", "count": 12_345}, {"value": "Bonn", "count": 300}],
        },
    ],
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def shown(value: Any, width: int) -> str:
    console = Console(record=True, width=width, highlight=False, file=io.StringIO())
    console.print(render(value))
    return console.export_text()


def test_a_report_is_one_table_where_it_fits() -> None:
    lines = shown(REPORT, 160).splitlines()
    (city,) = (line for line in lines if line.startswith("city"))
    assert city.split() == [
        "city", "text", "12", "40", "Aachen", "Zwickau", "–", "–", "Berlin", "(12,345)", "·", "Bonn", "(300)",
    ]  # fmt: skip


def test_nested_columns_get_tables_of_their_own_where_it_does_not() -> None:
    lines = [line.rstrip() for line in shown(REPORT, 70).splitlines()]
    assert ["city", "text", "12", "40", "Aachen", "Zwickau", "–"] in [line.split() for line in lines]
    assert "station_id  0.25: 12,500.2 · 0.5: 25,000.5" in lines
    assert "city  Berlin (12,345) · Bonn (300)" in lines


def test_a_table_too_wide_is_split_by_columns() -> None:
    lines = [line.split() for line in shown(REPORT, 44).splitlines()]
    assert ["name", "type", "nulls", "distinct", "min"] in lines
    assert ["name", "max", "mean"] in lines
    assert ["city", "Zwickau", "–"] in lines


def test_a_narrow_terminal_gets_a_block_per_row() -> None:
    lines = [line.split() for line in shown(REPORT, 36).splitlines()]
    assert ["name", "station_id"] in lines
    assert ["mean", "25,000.5"] in lines
    assert ["rows", "50,000"] in lines


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("done", "done"),
        ("two\nlines", "two\nlines"),
        ({"log": "two\nlines"}, "log  two\n     lines"),
        ([{"log": "two\nlines"}, {}], "log\n─────────\ntwo↵lines\n–"),
        (None, "–"),
        (True, "true"),
        (12.5, "12.5"),
        ([], "–"),
        ({}, "–"),
        (["a", "b"], "a, b"),
        (list(range(6)), "0\n1\n2\n3\n4\n5"),
        ({"a": {"b": {"c": 1}}}, "a.b\nc  1"),
    ],
)
def test_small_values(value: Any, text: str) -> None:
    assert [line.rstrip() for line in shown(value, 40).strip().splitlines()] == text.splitlines()


def test_a_long_table_is_cut_and_says_so() -> None:
    text = shown([{"n": n} for n in range(250)], 40)
    assert "… and 150 more" in text
    assert len(text.splitlines()) < 110


def test_text_from_a_job_cannot_steer_the_terminal() -> None:
    text = shown({"name\x1b[2J": "red\x1b[31m\u202eevil[bold]"}, 80)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]" in text


@given(JSON, st.sampled_from([20, 40, 80, 120]))
def test_anything_fits_any_width(value: Any, width: int) -> None:
    assert all(cell_len(line) <= width for line in shown(value, width).split("\n"))
