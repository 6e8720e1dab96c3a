"""Pauses between tries of the same thing."""

from __future__ import annotations

import random


class Backoff:
    """Pauses that double, from ``first`` up to ``longest`` seconds. Used by one thread.

    This is for what a process does by itself, such as connecting; :mod:`retry` decides when jobs run again.
    """

    def __init__(self, first: float, longest: float, *, jitter: float = 0.0) -> None:
        """
        Args:
            first: seconds of the first pause.
            longest: seconds that no pause exceeds.
            jitter: share of a pause, 0 to 1, of which a random part is taken off, so that many processes do not try
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
