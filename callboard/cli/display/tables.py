"""Lists of JSON objects as tables that fit.

A wide table is split by columns. Where even two columns do not fit, each object becomes a block of lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from callboard.cli.display.cells import inline, is_number, is_scalar, label
from callboard.cli.display.formats import number
from callboard.cli.display.terminal import safe

Row = Mapping[str, Any]

#: Most rows shown. ``--json`` has all.
MOST_ROWS: Final = 100
#: A cell with more columns is wrapped.
_WIDEST_CELL: Final = 48
_COLUMN_GAP: Final = 2


def fields(pairs: Iterable[tuple[str, RenderableType]]) -> Table:
    """Return names and values below each other."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(safe(label(name)), value)
    return grid


class Rows:
    """A list of one object or more, laid out for the width of the terminal."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows[:MOST_ROWS]
        self._left_out = len(rows) - len(self._rows)
        self._columns = list(dict.fromkeys(key for row in self._rows for key in row))
        self._widths = {name: self._width_of(name) for name in self._columns}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for index, part in enumerate(self._parts(options.max_width)):
            if index:
                yield Text("")
            yield part
        if self._left_out:
            yield Text(f"… and {number(self._left_out)} more", style="dim")

    def _parts(self, width: int) -> Iterable[ConsoleRenderable]:
        if self._fits(self._columns, width):
            return [self._table(self._columns, self._rows)]
        plain = [name for name in self._columns if all(is_scalar(row.get(name)) for row in self._rows)]
        nested = [name for name in self._columns if name not in plain and any(row.get(name) for row in self._rows)]
        key = plain[:1]
        if not key or not all(self._fits([*key, name], width) for name in (*plain[1:], *nested)):
            return [fields((name, inline(row.get(name))) for name in self._columns) for row in self._rows]
        return [
            *(self._table(columns, self._rows) for columns in self._split(plain, width)),
            *(self._table([*key, name], [row for row in self._rows if row.get(name)]) for name in nested),
        ]

    def _split(self, columns: Sequence[str], width: int) -> list[list[str]]:
        """Cut the columns into tables that fit, each beginning with the first column."""
        key = columns[0]
        tables = [[key]]
        for name in columns[1:]:
            if not self._fits([*tables[-1], name], width):
                tables.append([key])
            tables[-1].append(name)
        return tables

    def _fits(self, columns: Sequence[str], width: int) -> bool:
        return sum(self._widths[name] for name in columns) + _COLUMN_GAP * (len(columns) - 1) <= width

    def _width_of(self, column: str) -> int:
        widest = max(cell_len(inline(row.get(column)).plain) for row in self._rows)
        return min(_WIDEST_CELL, max(widest, cell_len(label(column))))

    @staticmethod
    def _table(columns: Sequence[str], rows: Sequence[Row]) -> Table:
        look = box.SIMPLE_HEAD
        table = Table(box=look, show_edge=False, pad_edge=False, collapse_padding=True, header_style="bold")
        for name in columns:
            numeric = all(is_number(row.get(name)) or row.get(name) is None for row in rows)
            table.add_column(safe(label(name)), justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(inline(row.get(name)) for name in columns))
        return table
