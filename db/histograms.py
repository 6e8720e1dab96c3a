"""Histograms of durations as ``history_rollup`` holds them: numbers whose sum is the histogram of all. Pure.

``callboard.histogram_quantiles`` does the same in SQL, for analysts; here it is many times as fast.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import ceil
from sys import byteorder
from typing import Final

#: A quantile is at most this share of itself off; below a millisecond, half a millisecond.
RELATIVE_ERROR: Final = 0.025

_FIRST: Final = 0.001
_GROWTH: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
#: A lane is twelve decimal digits wide: three of the digits, of base 10,000, that PostgreSQL sends.
_LANE: Final = 3
_HEADER: Final = 8
_ZERO: Final = bytes(2)


def quantiles(histogram: bytes, count: int, fractions: Sequence[float]) -> list[float]:
    """Return the seconds within which each of these fractions (0 to 1) of the durations lie.

    Args:
        histogram: the number as ``numeric_send`` gives it. Lane n from the right, twelve digits wide, counts the
            durations up to ``0.001 * g**n`` and above ``0.001 * g**(n - 1)`` seconds, where g is 1.025 / 0.975.
        count: how many durations there are: the sum of all lanes, 1 or more.
        fractions: the quantile of f is that of the ``ceil(f * count)``-th duration, as of SQL's ``percentile_disc``.
    """
    weight = int.from_bytes(histogram[2:4], signed=True)
    # Zeros at either end are not sent. The first digit stands for a multiple of 10,000 to the power of weight.
    highest, place = divmod(weight, _LANE)
    digits = array("H", _ZERO * (_LANE - 1 - place) + histogram[_HEADER:] + _ZERO * (_LANE - 1))
    if byteorder == "little":
        digits.byteswap()
    high, middle, counts = digits[::_LANE], digits[1::_LANE], digits[2::_LANE]
    # From the longest durations down.
    if high.tobytes().strip(b"\0") or middle.tobytes().strip(b"\0"):
        lanes = zip(high, middle, counts, strict=False)
        reached = list(accumulate(first * 10**8 + second * 10**4 + third for first, second, third in lanes))
    else:  # as almost always: fewer than 10,000 in each lane
        reached = list(accumulate(counts))
    above = [count - max(1, ceil(fraction * count)) for fraction in fractions]
    return [_seconds(highest - bisect_right(reached, longer)) for longer in above]


def _seconds(lane: int) -> float:
    """Return the value that is nearest, by ratio, to both ends of the lane."""
    return _FIRST / 2 if lane == 0 else _FIRST * (1 - RELATIVE_ERROR) * _GROWTH**lane
