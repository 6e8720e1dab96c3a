"""Numbers over time as a few lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from callboard.cli.display.formats import number
from callboard.cli.display.terminal import safe

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_LINES: Final = 5


class Bars:
    """A bar for each value. Where the terminal is too narrow, one bar is the sum of neighbouring values."""

    def __init__(self, title: str, values: Sequence[float], *, first: str, last: str) -> None:
        """
        Args:
            title: above the bars.
            values: 0 or more each.
            first: below the first bar.
            last: below the last bar.
        """
        self._title = title
        self._values = values
        self._ends = first, last

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        values = _fitted(self._values, options.max_width)
        most = max(values, default=0) or 1
        yield Text(f"{self._title}, at most {number(round(most, 2))} a bar", style="bold")
        heights = [round(value / most * _LINES * 8) or int(value > 0) for value in values]
        for line in range(_LINES - 1, -1, -1):
            yield Text("".join(_EIGHTHS[max(0, min(8, height - line * 8))] for height in heights), style="cyan")
        first, last = self._ends
        ends = Table.grid(expand=False)
        ends.add_column(width=max(len(values) - len(last), len(first) + 1), no_wrap=True)
        ends.add_row(safe(first), safe(last))
        yield ends


def _fitted(values: Sequence[float], width: int) -> list[float]:
    together = -(-len(values) // width) or 1
    return [sum(values[start : start + together]) for start in range(0, len(values), together)]
