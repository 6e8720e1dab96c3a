"""Progress of an analysis, in one percentage that only grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from callboard.actors.types.run import Run

Watch = Callable[[float], None]
"""Called with the share, 0 to 1, of a piece of work that is done. An exception ends the work."""

Step = Literal["checking", "reading", "columns", "duplicates"]

_ENDS: Final[dict[Step, tuple[float, float]]] = {
    "checking": (0, 5),
    "reading": (5, 30),
    "columns": (30, 80),
    "duplicates": (80, 100),
}
"""First and last percent of each step, by its duration, measured with tables of 5 to 300 MB."""


class Progress:
    """Reports the work of all steps to the :class:`Run`, in percent."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._percent = 0.0

    def watch(self, step: Step, message: Callable[[float], str]) -> Watch:
        """Return a watch over one step; ``message`` returns a text for people, given its share."""
        return lambda share: self._report(step, share, message)

    def _report(self, step: Step, share: float, message: Callable[[float], str]) -> None:
        start, end = _ENDS[step]
        # A second pass over the file, or the engine's own measure, may fall behind the last report.
        self._percent = max(self._percent, start + (end - start) * share)
        done = (self._percent - start) / (end - start)
        self._run.progress(round(self._percent, 2), 100, message(done), step=step)


def part(watch: Watch, start: float, end: float) -> Watch:
    """Return a watch over one part of the work: from share ``start`` to share ``end`` of the whole."""
    return lambda share: watch(start + (end - start) * share)
