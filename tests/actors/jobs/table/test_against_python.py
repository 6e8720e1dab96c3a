"""The report of a random table equals the one that plain Python computes from the cells it was written from."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callboard.actors.jobs.table.models import TableReport

Analyze = Callable[..., TableReport]

QUANTILES = [0.0, 0.1, 0.5, 0.9, 1.0]
TOP = 3

missing = st.just("")
integers = st.integers(-(10**18) + 1, 10**18 - 1).map(str) | st.integers(-3, 3).map(str)
numbers = st.floats(-1e12, 1e12).map(repr) | st.decimals(-999, 999, places=2).map(str)
dates = st.dates().map(date.isoformat)
timestamps = st.datetimes().map(datetime.isoformat)
NON_FINITE = re.compile(" *[+-]?(nan|inf|infinity) *", re.IGNORECASE)
texts = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=12).filter(
    lambda text: not NON_FINITE.fullmatch(text)
)
words = st.sampled_from(["a", "b", "Ä", ' "q"', "x,y", "z\n\nz", "0x1", "01", "1e", "true ", "-", "  "])
booleans = st.sampled_from(["true", "false", "True"])


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    kinds = draw(
        st.lists(
            st.sampled_from([integers, numbers, dates, timestamps, texts, words, booleans]), min_size=1, max_size=4
        )
    )
    rows = draw(st.lists(st.tuples(*(missing | kind | kind for kind in kinds)).map(list), max_size=25))
    return rows + draw(st.lists(st.sampled_from(rows), max_size=5) if rows else st.just([]))


def parse(cells: list[str]) -> tuple[str, list[Any]]:
    """Return the type of a column and its values, each parsed by Python's own parsers."""
    stripped = [cell.strip(" ") for cell in cells]
    parsers: list[tuple[str, Callable[[str], Any]]] = [
        ("boolean", lambda cell: {"true": True, "false": False}[cell.lower()]),
        ("integer", parse_integer),
        ("number", parse_number),
        ("date", parse_date),
        ("timestamp", parse_timestamp),
    ]
    for name, parser in parsers:
        try:
            return name, [parser(cell) for cell in stripped]
        except (KeyError, ValueError):
            continue
    return "text", cells


def parse_integer(cell: str) -> int:
    value = int(cell)
    if not cell.isascii() or "_" in cell or cell.lstrip("+-") != str(abs(value)) or abs(value) >= 10**18:
        raise ValueError(cell)
    return value


def parse_number(cell: str) -> float:
    value = float(cell)
    whole = cell.lstrip("+-").lower().partition("e")[0].partition(".")[0]
    if not cell.isascii() or "_" in cell or (whole not in ("", "0") and whole.startswith("0")) or len(whole) > 18:
        raise ValueError(cell)
    return value


def parse_date(cell: str) -> date:
    if len(cell) != 10:
        raise ValueError(cell)
    return date.fromisoformat(cell)


def parse_timestamp(cell: str) -> datetime:
    if len(cell) not in (10, 16, 19, 26):
        raise ValueError(cell)
    return datetime.fromisoformat(cell)


def shown(value: Any) -> Any:
    if isinstance(value, datetime):
        text = value.isoformat()
        return text.rstrip("0") if value.microsecond else text
    return value.isoformat() if isinstance(value, date) else value


def quantile(ordered: list[Any], share: float) -> Any:
    rank = Fraction(str(share)) * (len(ordered) - 1)
    low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
    if isinstance(low, date):
        return shown(low)
    value = Fraction(low) + (Fraction(high) - Fraction(low)) * (rank - math.floor(rank))
    return int(value) if isinstance(low, int) and value.denominator == 1 else float(value)


def describe(cells: list[str]) -> dict[str, Any]:
    filled = [cell for cell in cells if cell]
    if not filled:
        return {
            "type": "empty",
            "nulls": len(cells),
            "distinct": 0,
            "min": None,
            "max": None,
            "top": [],
            "quantiles": [],
        }
    type_, values = parse(filled)
    ordered = sorted(values)
    top = sorted(Counter(ordered).items(), key=lambda item: (-item[1], item[0]))[:TOP]
    return {
        "type": type_,
        "nulls": len(cells) - len(filled),
        "distinct": len(set(values)),
        "min": shown(ordered[0]),
        "max": shown(ordered[-1]),
        "top": [(shown(value), count) for value, count in top],
        "quantiles": [] if type_ in {"text", "boolean"} else [quantile(ordered, share) for share in QUANTILES],
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables(), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), delimiter=st.sampled_from(",;\t|"))
def test_small_tables(analyze_text: Analyze, table: list[list[str]], quoting: Any, delimiter: str) -> None:
    width = len(table[0]) if table else 2
    file = io.StringIO()
    writer = csv.writer(file, quoting=quoting, delimiter=delimiter, lineterminator="\n")
    writer.writerow([f"name {number}" for number in range(width)])
    writer.writerows(table)

    report = analyze_text(file.getvalue(), delimiter=delimiter, header=True, top=TOP, quantiles=QUANTILES)

    assert report.rows == len(table)
    assert report.duplicate_rows == len(table) - len({tuple(row) for row in table})
    for index, column in enumerate(report.columns):
        cells = [row[index] for row in table]
        assert describe(cells) == {
            "type": column.type,
            "nulls": column.nulls,
            "distinct": column.distinct,
            "min": column.min,
            "max": column.max,
            "top": [(item.value, item.count) for item in column.most_frequent],
            "quantiles": [item.value for item in column.quantiles],
        }
        if column.type in {"integer", "number"}:
            values = parse([cell for cell in cells if cell])[1]
            mean = sum(map(Fraction, values)) / len(values)
            scale = max(map(abs, values), default=0) or 1
            assert column.mean == pytest.approx(float(mean), rel=1e-12, abs=1e-12 * scale)
        else:
            assert column.mean is None


def test_a_table_of_many_blocks(analyze_text: Analyze) -> None:
    """More rows than the engine takes at once, in no order, with line breaks in values."""
    rows = [
        [str(number * 7919 % 100_003), f'row "{number % 977}"\nof many', str(number % 10)] for number in range(150_000)
    ]
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([["n", "text", "digit"], *rows])

    report = analyze_text(file.getvalue(), top=TOP, quantiles=QUANTILES)

    assert report.rows == len(rows)
    assert report.duplicate_rows == len(rows) - len(set(map(tuple, rows)))
    for index, column in enumerate(report.columns):
        expected = describe([row[index] for row in rows])
        assert (column.type, column.distinct, column.min, column.max) == tuple(
            expected[key] for key in ("type", "distinct", "min", "max")
        )
        assert [(item.value, item.count) for item in column.most_frequent] == expected["top"]
        assert [item.value for item in column.quantiles] == expected["quantiles"]
