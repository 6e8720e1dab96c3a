"""Submissions per second: each process takes tokens out of the shared bucket in chunks, not one a request."""

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
_MOST_ALLOWANCES: Final = 10_000


@dataclass(slots=True)
class _Allowance:
    tokens: int = 0
    taken_at: float = 0.0
    # Until then it is not worth asking for this many tokens or more.
    dry_until: float = 0.0
    dry_for: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class TokenGrants:
    """The tokens of this process. Used in one event loop.

    All processes together let through what flowed into the bucket, what it holds when full, and what each had left.
    """

    def __init__(self, take: Callable[[str, Rate, int, int], Awaitable[Grant]]) -> None:
        """``take(name, rate, least, most)`` takes tokens out of a shared bucket."""
        self._take = take
        self._allowances: dict[str, _Allowance] = {}

    async def spend(self, name: str, rate: Rate, tokens: int) -> float:
        """Spend tokens of a bucket. Returns 0 when that was done, else the seconds after which it may succeed.

        Raises:
            Unavailable: the database did not answer.
        """
        allowance = self._allowance(name)
        if self._spent(allowance, tokens):
            return 0.0
        if wait := self._dry(allowance, tokens):
            return wait
        async with allowance.turn:
            # Whoever had the turn before may have brought enough for all.
            if self._spent(allowance, tokens):
                return 0.0
            if wait := self._dry(allowance, tokens):
                return wait
            least = tokens - allowance.tokens
            most = max(least, math.floor(rate.per_second * _CHUNK))
            grant = await self._take(name, rate, least, most)
            now = asyncio.get_running_loop().time()
            if grant.tokens < most:
                # The bucket is as good as empty. What flows into it meanwhile is not lost.
                allowance.dry_for = 1 if grant.tokens else least
                allowance.dry_until = now + max(grant.retry_after, _PAUSE)
            if not grant.tokens:
                return grant.retry_after
            allowance.tokens += grant.tokens - tokens
            allowance.taken_at = now
            return 0.0

    def _allowance(self, name: str) -> _Allowance:
        allowance = self._allowances.get(name)
        if allowance is None:
            if len(self._allowances) >= _MOST_ALLOWANCES:
                self._allowances = {
                    name: allowance for name, allowance in self._allowances.items() if allowance.turn.locked()
                }
            allowance = self._allowances[name] = _Allowance()
        return allowance

    @staticmethod
    def _spent(allowance: _Allowance, tokens: int) -> bool:
        if asyncio.get_running_loop().time() - allowance.taken_at > _KEPT_FOR:
            allowance.tokens = 0
        if allowance.tokens < tokens:
            return False
        allowance.tokens -= tokens
        return True

    @staticmethod
    def _dry(allowance: _Allowance, tokens: int) -> float:
        if tokens - allowance.tokens < allowance.dry_for:
            return 0.0
        return max(0.0, allowance.dry_until - asyncio.get_running_loop().time())
