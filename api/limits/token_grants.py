"""The quota of submissions per second: a token bucket in the database, from which processes take tokens in chunks."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from callboard.db.dispatching.rate_limits import Grant, Rate

#: Seconds' worth of tokens that a process takes at a time. A busy caller costs each process some ten short statements a
#: second, and each process holds at most the tokens of a tenth of a second unused.
_CHUNK: Final = 0.1
#: Shortest time in seconds between two statements for an empty bucket, which each submission would send otherwise.
_MIN_PAUSE: Final = 0.05
#: Seconds after which unused tokens are dropped: those of many idle processes would add up to a burst.
_UNUSED_FOR: Final = 2.0
_MAX_ALLOWANCES: Final = 10_000


@dataclass(slots=True)
class _Allowance:
    tokens: int = 0
    taken_at: float = 0.0
    empty_until: float = 0.0
    """Until then the bucket does not have ``empty_for`` tokens."""
    empty_for: int = 0
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)


class TokenGrants:
    """Spends the tokens that this process has taken. Used in one event loop.

    All processes together admit the tokens that flowed into the bucket, a full bucket, and what each process had left.
    """

    def __init__(self, take: Callable[[str, Rate, int, int], Awaitable[Grant]]) -> None:
        """``take(name, rate, least, most)``: takes tokens from a shared bucket (``rate_limits.take_tokens``)."""
        self._take = take
        self._allowances: dict[str, _Allowance] = {}

    async def spend(self, name: str, rate: Rate, tokens: int) -> float:
        """Spend tokens of a bucket. Returns 0 if they were spent, else the seconds after which a retry may succeed.

        Args:
            name: of the bucket.
            rate: at which it fills.
            tokens: how many.

        Raises:
            Unavailable: the database did not answer.
        """
        allowance = self._allowance(name)
        if self._spent(allowance, tokens):
            return 0.0
        if wait := self._wait(allowance, tokens):
            return wait
        async with allowance.taking:
            # The request that held the lock before may have taken enough for this one.
            if self._spent(allowance, tokens):
                return 0.0
            if wait := self._wait(allowance, tokens):
                return wait
            least = tokens - allowance.tokens
            most = max(least, math.floor(rate.per_second * _CHUNK))
            grant = await self._take(name, rate, least, most)
            now = asyncio.get_running_loop().time()
            if grant.tokens < most:
                # The bucket is as good as empty. The tokens that flow into it meanwhile are not lost.
                allowance.empty_for = 1 if grant.tokens else least
                allowance.empty_until = now + max(grant.retry_after, _MIN_PAUSE)
            if not grant.tokens:
                return grant.retry_after
            allowance.tokens += grant.tokens - tokens
            allowance.taken_at = now
            return 0.0

    def _allowance(self, name: str) -> _Allowance:
        allowance = self._allowances.get(name)
        if allowance is None:
            if len(self._allowances) >= _MAX_ALLOWANCES:
                self._allowances = {
                    name: allowance for name, allowance in self._allowances.items() if allowance.taking.locked()
                }
            allowance = self._allowances[name] = _Allowance()
        return allowance

    @staticmethod
    def _spent(allowance: _Allowance, tokens: int) -> bool:
        if asyncio.get_running_loop().time() - allowance.taken_at > _UNUSED_FOR:
            allowance.tokens = 0
        if allowance.tokens < tokens:
            return False
        allowance.tokens -= tokens
        return True

    @staticmethod
    def _wait(allowance: _Allowance, tokens: int) -> float:
        if tokens - allowance.tokens < allowance.empty_for:
            return 0.0
        return max(0.0, allowance.empty_until - asyncio.get_running_loop().time())
