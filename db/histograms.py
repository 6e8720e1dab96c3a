"""Histograms of durations as ``history_rollup`` holds them: numbers whose sum is the histogram of all. Pure.

``callboard.histogram_quantiles`` does the same in SQL, for analysts; here it is several times as fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

#: A quantile is at most this share of itself off; below a millisecond, half a millisecond.
RELATIVE_ERROR: Final = 0.025

_LANE: Final = 12
_FIRST: Final = 0.001
_GROWTH: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)


def quantiles(histogram: str, count: int, fractions: Sequence[float]) -> list[float]:
    """Return the seconds within which each of these fractions (0 to 1) of the durations lie.

    Args:
        histogram: the digits of the number. Lane n from the right, twelve digits wide, counts the durations up to
            ``0.001 * g**n`` and above ``0.001 * g**(n - 1)`` seconds, where g is 1.025 / 0.975.
        count: how many durations there are: the sum of all lanes, 1 or more.
        fractions: the quantile of f is that of the ``ceil(f * count)``-th duration, as of SQL's ``percentile_disc``.
    """
    # From the longest durations down, as what is asked for lies there: most lanes need not be looked at.
    lane = (len(histogram) - 1) // _LANE
    start = len(histogram) - lane * _LANE
    reached = int(histogram[:start])
    found: dict[float, float] = {}
    for fraction in sorted(fractions, reverse=True):
        above = count - max(1, ceil(fraction * count))
        while reached <= above:
            reached += int(histogram[start : start + _LANE])
            start += _LANE
            lane -= 1
        found[fraction] = _seconds(lane)
    return [found[fraction] for fraction in fractions]


def _seconds(lane: int) -> float:
    """Return the value that is nearest, by ratio, to both ends of the lane."""
    return _FIRST / 2 if lane == 0 else _FIRST * (1 - RELATIVE_ERROR) * _GROWTH**lane
