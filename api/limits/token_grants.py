"""Submissions per second: each process takes tokens out of the shared bucket in chunks, not one for each request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from callboard.db.dispatching.rate_limits import Grant, Rate

#: Seconds' worth of tokens that a process takes at a time. So a busy caller costs each process some ten short
#: statements a second, and what processes hold unused is a tenth of a second's rate each.
_CHUNK: Final = 0.1
#: Seconds for which a process does not ask an empty bucket again, or each submission would.
_PAUSE: Final = 0.05
#: Seconds after which unused tokens are dropped, so that many idle processes do not add up to a burst.
_KEPT_FOR: Final = 2.0
_MOST_LEASES: Final = 10_000


@dataclass(slots=True)
class _Lease:
    tokens: int = 0
    taken_at: float = 0.0
    # Until then it is not worth asking for this many tokens or more.
    dry_until: float = 0.0
    dry_for: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Leases:
    """The tokens of this process. Used in one event loop.

    All processes together let through what flowed into the bucket, what it holds when full, and what each had left.
    """

    def __init__(self, take: Callable[[str, Rate, int, int], Awaitable[Grant]]) -> None:
        """``take(name, rate, least, most)`` takes tokens out of a shared bucket."""
        self._take = take
        self._leases: dict[str, _Lease] = {}

    async def spend(self, name: str, rate: Rate, tokens: int) -> float:
        """Spend tokens of a bucket. Returns 0 when that was done, else the seconds after which it may succeed.

        Raises:
            Unavailable: the database did not answer.
        """
        lease = self._lease(name)
        if self._spent(lease, tokens):
            return 0.0
        if wait := self._dry(lease, tokens):
            return wait
        async with lease.turn:
            # Whoever had the turn before may have brought enough for all.
            if self._spent(lease, tokens):
                return 0.0
            if wait := self._dry(lease, tokens):
                return wait
            least = tokens - lease.tokens
            most = max(least, math.floor(rate.per_second * _CHUNK))
            grant = await self._take(name, rate, least, most)
            now = asyncio.get_running_loop().time()
            if grant.tokens < most:
                # The bucket is as good as empty. What flows into it meanwhile is not lost.
                lease.dry_for = 1 if grant.tokens else least
                lease.dry_until = now + max(grant.retry_after, _PAUSE)
            if not grant.tokens:
                return grant.retry_after
            lease.tokens += grant.tokens - tokens
            lease.taken_at = now
            return 0.0

    def _lease(self, name: str) -> _Lease:
        lease = self._leases.get(name)
        if lease is None:
            if len(self._leases) >= _MOST_LEASES:
                self._leases = {name: lease for name, lease in self._leases.items() if lease.turn.locked()}
            lease = self._leases[name] = _Lease()
        return lease

    @staticmethod
    def _spent(lease: _Lease, tokens: int) -> bool:
        if asyncio.get_running_loop().time() - lease.taken_at > _KEPT_FOR:
            lease.tokens = 0
        if lease.tokens < tokens:
            return False
        lease.tokens -= tokens
        return True

    @staticmethod
    def _dry(lease: _Lease, tokens: int) -> float:
        if tokens - lease.tokens < lease.dry_for:
            return 0.0
        return max(0.0, lease.dry_until - asyncio.get_running_loop().time())
