"""How far an analysis is, in one number that only grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from callboard.actors.types.run import Run

Watch = Callable[[float], None]
"""Is told the share, 0 to 1, of a piece of work that is done. What it raises ends the work."""

Step = Literal["checking", "reading", "columns", "duplicates"]

_ENDS: Final[dict[Step, tuple[float, float]]] = {
    "checking": (0, 5),
    "reading": (5, 30),
    "columns": (30, 80),
    "duplicates": (80, 100),
}
"""From and to which percent each step goes, by the time it takes: measured with tables of 5 to 300 MB."""


class Progress:
    """Reports the work of all steps to the :class:`Run`, in percent."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._percent = 0.0

    def watch(self, step: Step, message: Callable[[float], str]) -> Watch:
        """Return a watch over one step; ``message`` tells people what a share of it is."""
        return lambda share: self._report(step, share, message)

    def _report(self, step: Step, share: float, message: Callable[[float], str]) -> None:
        start, end = _ENDS[step]
        # A second look at the file, or the engine's own measure, may fall behind what was said already.
        self._percent = max(self._percent, start + (end - start) * share)
        done = (self._percent - start) / (end - start)
        self._run.progress(round(self._percent, 2), 100, message(done), step=step)


def part(watch: Watch, start: float, end: float) -> Watch:
    """Return a watch over one part of the work, which goes from one share of the whole to another."""
    return lambda share: watch(start + (end - start) * share)
