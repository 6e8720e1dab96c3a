"""Measuring in turns: whatever else the machine does meets all that is compared."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and extremes of some rounds."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))


def in_turns(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run each contestant once a round, in changing order; return what each gave, by round."""
    results: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            results[name].append(contestants[name]())
            sys.stderr.write(f"round {number + 1}/{rounds}  {name}: {results[name][-1]:,.0f}\n")
    return results


def ratios(mine: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Return how one compares to the other, round by round."""
    return [each / base for each, base in zip(mine, baseline, strict=True)]
