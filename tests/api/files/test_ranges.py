from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.api.files.ranges import ByteRange, RangeNotSatisfiable, parse_range


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=10-19", 10, 20),
        ("bytes=90-1000", 90, 100),
        ("bytes=90-", 90, 100),
        ("bytes=-1", 99, 100),
        ("bytes=-1000", 0, 100),
        (" BYTES = 5 - 6 ", 5, 7),
    ],
)
def test_a_range_is_cut_to_the_file(header: str, start: int, stop: int) -> None:
    assert parse_range(header, 100) == ByteRange(start, stop)


@pytest.mark.parametrize(
    "header",
    ["", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=1", "bytes=²-³",
     "bytes=" + "9" * 5000 + "-", "bytes=" + " " * 60_000 + "x"],
)  # fmt: skip
def test_what_is_no_single_range_is_ignored(header: str) -> None:
    assert parse_range(header, 100) is None


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-5", 0)])
def test_a_range_without_a_byte_is_refused(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, size)


def test_says_what_it_is() -> None:
    assert ByteRange(10, 20).content_range(100) == "bytes 10-19/100"


@given(st.binary(min_size=1, max_size=50), st.integers(0, 60), st.none() | st.integers(0, 60))
def test_is_the_slice_that_was_asked_for(content: bytes, first: int, last: int | None) -> None:
    header = f"bytes={first}-{'' if last is None else last}"
    wanted = content[first:] if last is None else content[first : last + 1]
    try:
        part = parse_range(header, len(content))
    except RangeNotSatisfiable:
        assert wanted == b""
    else:
        assert (content if part is None else content[part.start : part.stop]) == (wanted or content)
