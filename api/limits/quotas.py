"""A caller's quotas of submissions, and the headers of a refusal (draft-ietf-httpapi-ratelimit-headers-10)."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Final

from callboard.api.auth.caller import Caller, Quota
from callboard.api.database.threads import DatabaseThreads
from callboard.api.errors import QuotaExceeded
from callboard.api.limits.live_jobs import LiveJobs
from callboard.api.limits.token_grants import TokenGrants
from callboard.db.dispatching.rate_limits import Grant, Rate, take_tokens
from callboard.db.reads.jobs import count_live_of

_SUBMISSIONS: Final = "submissions"
_LIVE_JOBS: Final = "live-jobs"
#: Seconds for Retry-After at the limit of live jobs. When one will end is not known.
_RETRY_LIVE_JOBS_AFTER: Final = 5
#: Seconds for which a submission waits for a count; it has the time that it takes itself besides.
_LONGEST_COUNT: Final = 3.0


class Limits:
    """Admits or refuses submissions by the quotas of their callers. Used in one event loop."""

    def __init__(self, threads: DatabaseThreads) -> None:
        async def take(name: str, rate: Rate, least: int, most: int) -> Grant:
            return await threads.run(lambda connection: take_tokens(connection, name, rate, least=least, most=most))

        async def count(owner: str, most: int) -> int:
            return await threads.run(
                lambda connection: count_live_of(connection, owner, most=most), within=_LONGEST_COUNT
            )

        self._grants = TokenGrants(take)
        self._live = LiveJobs(count)

    def submission(self, caller: Caller, jobs: int) -> AbstractAsyncContextManager[None]:
        """Return a context in which the caller submits so many jobs. Entering it admits or refuses them.

        Raises:
            QuotaExceeded: they exceed a quota of the caller.
            Unavailable: the database did not answer.
        """
        unlimited = caller.quota.max_live_jobs is None and caller.quota.submissions_per_second is None
        return nullcontext() if unlimited else self._within_limits(caller, jobs)

    @asynccontextmanager
    async def _within_limits(self, caller: Caller, jobs: int) -> AsyncIterator[None]:
        quota = caller.quota
        most = quota.max_live_jobs
        if most is not None and not await self._live.admit(caller.owner, jobs, most=most):
            raise _too_many_live(quota, most, jobs)
        try:
            await self._spend(quota, jobs)
            yield
        finally:
            if most is not None:
                self._live.submitted(caller.owner, jobs)

    async def _spend(self, quota: Quota, jobs: int) -> None:
        if quota.submissions_per_second is None:
            return
        rate = Rate(quota.submissions_per_second)
        if wait := await self._grants.spend(quota.name, rate, jobs):
            raise _too_fast(quota, rate, wait)


def _too_many_live(quota: Quota, most: int, jobs: int) -> QuotaExceeded:
    detail = (
        f"At most {most} of your jobs may live at a time, and {jobs} more would be above that. "
        "Wait until some have ended, or cancel some."
    )
    if jobs > most:
        detail = f"At most {most} of your jobs may live at a time, so {jobs} cannot be submitted together."
    return QuotaExceeded(detail, _headers(quota, _LIVE_JOBS, wait=_RETRY_LIVE_JOBS_AFTER))


def _too_fast(quota: Quota, rate: Rate, wait: float) -> QuotaExceeded:
    return QuotaExceeded(
        f"At most {rate.per_second:g} jobs may be submitted in a second. Try again in {wait:.3g} seconds.",
        _headers(quota, _SUBMISSIONS, wait=math.ceil(wait)),
    )


def _headers(quota: Quota, exceeded: str, *, wait: int) -> dict[str, str]:
    policies = []
    if quota.submissions_per_second is not None:
        rate = Rate(quota.submissions_per_second)
        policies.append(f'"{_SUBMISSIONS}";q={rate.capacity};w={rate.window}')
    if quota.max_live_jobs is not None:
        policies.append(f'"{_LIVE_JOBS}";q={quota.max_live_jobs}')
    return {
        "Retry-After": str(wait),
        "RateLimit": f'"{exceeded}";r=0;t={wait}',
        "RateLimit-Policy": ", ".join(policies),
    }
