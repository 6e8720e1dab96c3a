"""The work of a realistic job, for Callboard and for Dramatiq alone."""

from __future__ import annotations

import time
from typing import Final

STEPS: Final = 4
#: Seconds until a failed attempt is tried again, at most.
BACKOFF: Final = 0.1
_STEP = 0.0025
_FAILING = 10


def one_step() -> None:
    """Wait for a quarter of 10 ms, as for another service."""
    time.sleep(_STEP)


def fails_first(number: int) -> bool:
    """Say whether the first attempt of this job fails."""
    return number % _FAILING == 0
