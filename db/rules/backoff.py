"""Exponential backoff of a process's own retries, such as connecting. :mod:`retry` decides when jobs run again."""

from __future__ import annotations

import random


class Backoff:
    """Pauses that double, from ``first`` up to ``longest`` seconds. For one thread."""

    def __init__(self, first: float, longest: float, *, jitter: float = 0.0) -> None:
        """
        Args:
            first: seconds of the first pause.
            longest: seconds of the longest pause.
            jitter: 0 to 1. A pause is shortened by a random part of this share of it: many processes then do not retry
                at once.
        """
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._ceiling = first

    def next(self) -> float:
        """Return the seconds to wait after one more failure."""
        ceiling, self._ceiling = min(self._ceiling, self._longest), min(self._ceiling * 2, self._longest)
        return ceiling * random.uniform(1 - self._jitter, 1)

    def reset(self) -> None:
        """Start over, after a success."""
        self._ceiling = self._first
