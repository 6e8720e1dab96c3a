"""Waiting in tests: until something holds, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds. Nothing that is waited for takes so long, even on a busy machine.
PATIENT: float = 30.0


def until(condition: Callable[[], T], *, what: str = "", within: float = PATIENT, every: float = 0.01) -> T:
    """Return the first true value of ``condition``, which is called again and again.

    Args:
        condition: called about each ``every`` seconds; may be slow.
        what: is waited for, for the message of the failure.
        within: seconds after which the test fails.
        every: seconds between two calls.

    Raises:
        AssertionError: it has not become true; the message has its last value.
    """
    give_up_at = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > give_up_at:
            raise AssertionError(f"not within {within:g} s: {what or condition!r}; the last value was {value!r}")
        time.sleep(every)
    return value
