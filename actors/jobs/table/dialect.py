"""The dialect of a table: its delimiter, whether the first row is a header, and the names of its columns."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from callboard.actors.jobs.table.source import BrokenTable, Source

MOST_COLUMNS: Final = 2_000
"""More do not fit into the engine's memory."""

_SAMPLE: Final = 128 * 1024
"""Characters of the beginning of the file that are examined; also the longest header, and the longest cell there."""

_ROWS: Final = 1_000
"""Rows of the sample that are examined."""

_DELIMITERS: Final = ",;\t|"
_NUMBER_OR_DATE: Final = re.compile(
    r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?|\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-][\d:]+)?)?"
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """Delimiter, header and names, as given or detected."""

    delimiter: str
    header: bool
    names: tuple[str, ...]
    """One per column, all different."""
    skip: int
    """Rows before the first row of data: blank lines, then the header."""


def find_dialect(source: Source, delimiter: str | None, *, header: bool | None) -> Dialect:
    """Return the dialect. Delimiter and header are detected from the first rows if None.

    Raises:
        BrokenTable: there is no row, the first row has no end, is too wide, or names two columns alike.
    """
    with source.path.open(encoding="utf-8", newline="") as file:
        sample = file.read(_SAMPLE)
        is_whole = not file.read(1)
    text = sample.lstrip("\n")
    if not text.strip():
        raise BrokenTable(f"The file has no rows: the first {len(sample):,} characters are blank.")
    if delimiter is None:
        delimiter = max(_DELIMITERS, key=lambda candidate: _fit(_rows(text, candidate, is_whole=is_whole)))
    blank_lines = len(sample) - len(text)
    first = _first_row(text, delimiter, line=blank_lines + 1)
    if len(first) > MOST_COLUMNS:
        raise BrokenTable(f"The first row has {len(first):,} values; a table may have {MOST_COLUMNS:,} columns.")
    if header is None:
        header = _is_header(first, _rows(text, delimiter, is_whole=is_whole)[1:])
    names = _names(first, line=blank_lines + 1) if header else [f"column_{i}" for i in range(1, len(first) + 1)]
    # In a table of one column a blank line is a row with no value; before a header it is not.
    return Dialect(delimiter, header, tuple(names), skip=blank_lines + 1 if header else 0)


def _first_row(text: str, delimiter: str, *, line: int) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), strict=True, **_format(delimiter)))
    except csv.Error:
        raise BrokenTable(
            f"Line {line}, the first row, has a quote that is not closed within {_SAMPLE:,} characters, "
            "or text after a closing quote. A quote inside a quoted value is written twice."
        ) from None


def _rows(text: str, delimiter: str, *, is_whole: bool) -> list[list[str]]:
    """Return the first rows; a row that the end of the sample may have cut is left out."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), **_format(delimiter))
        rows = list(itertools.islice(reader, _ROWS + 1))
    except csv.Error:
        return []
    complete = rows if is_whole else rows[:-1]
    return [row for row in complete[:_ROWS] if row]


def _format(delimiter: str) -> _Format:
    return {"delimiter": delimiter, "skipinitialspace": delimiter != " "}


class _Format(TypedDict):
    delimiter: str
    skipinitialspace: bool


def _fit(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    """Return how well a delimiter fits: the share of rows that have the most frequent width, then that width.

    It is a share, as one ragged row must not make another delimiter win.
    """
    if not rows:
        return (0.0, 0)
    width, count = Counter(map(len, rows)).most_common(1)[0]
    return (count / len(rows), width) if width > 1 else (0.0, 1)


def _is_header(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row names the columns: it has words above numbers, or no number at all."""
    for index, name in enumerate(first):
        cells = [row[index].strip() for row in rows if index < len(row) and row[index].strip()]
        if cells and name.strip() and not _is_value(name) and all(map(_is_value, cells)):
            return True
    return not any(map(_is_value, first))


def _is_value(cell: str) -> bool:
    return _NUMBER_OR_DATE.fullmatch(cell.strip()) is not None


def _names(first: Sequence[str], *, line: int) -> list[str]:
    names = [cell.strip() or f"column_{number}" for number, cell in enumerate(first, start=1)]
    for name, count in Counter(names).items():
        if count > 1:
            numbers = " and ".join(str(number) for number, other in enumerate(names, start=1) if other == name)
            raise BrokenTable(
                f"Line {line}, the header, has the name {name!r} {count} times, in columns {numbers}. "
                'Rename all but one, or say that there is no header: "header": false.'
            )
    return names
