"""The decision whether and when a failed attempt is retried. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``max_retries`` attempts after the first; waits of ``min_backoff`` to ``max_backoff`` seconds."""

    max_retries: int
    min_backoff: float
    max_backoff: float


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """``delay``: seconds until the next attempt is due; ``None``: there is none."""

    delay: float | None

    @property
    def retry(self) -> bool:
        return self.delay is not None


GIVE_UP = RetryDecision(None)


def backoff_ceiling(policy: RetryPolicy, retries: int) -> float:
    """Return the longest wait, in seconds, before the retry after ``retries`` earlier ones: min x 2^retries, capped."""
    # 2**63 seconds is beyond any cap, and a float power would overflow long after it.
    return min(policy.max_backoff, policy.min_backoff * 2.0 ** min(retries, 63))


def decide_retry(
    policy: RetryPolicy, retries: int, *, random: Callable[[], float], asked: float | None = None
) -> RetryDecision:
    """Decide on the next attempt after a failure.

    The wait has "full jitter" (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): it is
    uniform between ``min_backoff`` and the exponential ceiling, which spreads jobs that failed together.

    Args:
        policy: of the job.
        retries: retries already spent by this job, from 0.
        random: uniform in [0, 1).
        asked: seconds that the handler asked for (``dramatiq.errors.Retry``), used as they are; negative counts as 0.
    """
    if retries >= policy.max_retries:
        return GIVE_UP
    if asked is not None:
        return RetryDecision(max(0.0, asked))
    ceiling = backoff_ceiling(policy, retries)
    floor = min(policy.min_backoff, ceiling)
    return RetryDecision(floor + (ceiling - floor) * random())
