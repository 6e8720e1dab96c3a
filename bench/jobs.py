"""Job types of the benchmark, for ``CALLBOARD_JOB_MODULES``."""

from __future__ import annotations

import time
from typing import Final

from bench.work import BACKOFF, STEPS, fails_first, one_step
from callboard.actors.types.registry import job
from callboard.actors.types.run import Run

CLOCK: Final = "bench.clock"
LAG: Final = "bench.lag"
MIX: Final = "bench.mix"
_QUEUE: Final = "diagnostics"


@job(CLOCK, queue=_QUEUE)
def clock(_: object) -> float:
    """Return the seconds since the epoch."""
    return time.time()


@job(LAG, queue=_QUEUE)
def lag(sent_at: float) -> float:
    """Return the milliseconds since then."""
    return (time.time() - sent_at) * 1000


@job(MIX, queue=_QUEUE, min_backoff=BACKOFF, max_backoff=BACKOFF)
def mix(number: int, run: Run) -> None:
    """Work as jobs do: wait for something, say how far it is, fail now and then."""
    for step in range(STEPS):
        one_step()
        run.progress(step + 1, STEPS)
    if run.attempt == 1 and fails_first(number):
        raise ConnectionError("the first attempt of every tenth job fails")
