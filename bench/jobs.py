"""A job type that tells when its handler began, for ``CALLBOARD_JOB_MODULES``."""

from __future__ import annotations

import time

from actors.registry import job

CLOCK = "bench.clock"


@job(CLOCK, queue="diagnostics")
def clock(_: object) -> float:
    """Return the seconds since the epoch."""
    return time.time()
