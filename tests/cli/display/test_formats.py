from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.cli.display import formats


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (2026, "2026"),
        (-9999, "-9999"),
        (50_000, "50,000"),
        (-1_234_567, "-1,234,567"),
        (12_345_678_901_234_567, "12,345,678,901,234,567"),
        (0.0, "0"),
        (3.0, "3"),
        (3.14159265, "3.14159"),
        (0.000123456, "0.000123456"),
        (1e-7, "1e-07"),
        (25_000.5, "25,000.5"),
        (1_234_567.89, "1,234,567.9"),
        (2_000_000.0, "2,000,000"),
        (1e300, "1e+300"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert formats.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0124, "12 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.99, "1 min 0 s"),
        (3599.9, "1 h 0 min"),
        (90_061, "1 d 1 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert formats.duration(seconds) == text


@given(st.floats(min_value=0, max_value=1e9))
def test_duration_never_shows_a_full_unit(seconds: float) -> None:
    text = formats.duration(seconds)
    assert not any(text.startswith(full) for full in ("1000 ms", "60.0 s", "60 min"))
    assert not text.endswith((" 60 s", " 60 min", " 24 h"))


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 2**40, "5.0 TiB")])
def test_size(count: int, text: str) -> None:
    assert formats.size(count) == text


def test_age_is_not_negative_when_the_servers_clock_is_ahead() -> None:
    assert formats.age(datetime.now(UTC) + timedelta(hours=1)) == "0 ms"
