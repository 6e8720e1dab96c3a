"""The quota of live jobs: counted now and then, and exactly for each submission near the limit."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from callboard.db.errors import Unavailable

#: Seconds for which a count is used, as long as less than half of what was free then has been admitted since.
_MAX_AGE: Final = 0.5
#: Seconds for which a count is used while less than a quarter of the limit lives: jobs are counted meanwhile, and no
#: submission waits for it.
_MAX_AGE_IF_FEW: Final = 60.0
_MAX_OWNERS: Final = 10_000


@dataclass(slots=True)
class _Owner:
    live: int = 0
    """Live jobs when they were last counted, and those that were being submitted then."""
    counted_at: float = -math.inf
    admitted: int = 0
    """Jobs admitted since the count."""
    in_flight: int = 0
    """Jobs admitted, and perhaps not stored yet: a count may not include them."""
    counting: asyncio.Lock = field(default_factory=asyncio.Lock)
    background: asyncio.Task[None] | None = None
    failed_at: float = -math.inf
    """When the database last did not answer: it is not asked again at once."""


class LiveJobs:
    """Admits jobs up to each owner's limit of live jobs. Used in one event loop.

    One process alone never exceeds a limit. Several processes that admit jobs of one owner at the same time may exceed
    it by as much as they admit between two counts. While the database does not answer, the last count is used.
    """

    def __init__(self, count: Callable[[str, int], Awaitable[int]]) -> None:
        """``count(owner, most)`` returns the number of the owner's live jobs, or ``most`` if there are more."""
        self._count = count
        self._owners: dict[str, _Owner] = {}

    async def admit(self, name: str, jobs: int, *, most: int) -> bool:
        """Return whether an owner may have more live jobs. If so they count from now on.

        The caller then calls :meth:`submitted`, whatever becomes of the jobs.

        Args:
            name: the owner.
            jobs: how many more.
            most: the owner's limit.
        """
        owner = self._owner(name)
        if not self._is_far_from_limit(owner, jobs, most):
            async with owner.counting:
                if not self._is_far_from_limit(owner, jobs, most):
                    await self._recount(name, owner, most)
                    if owner.live + owner.admitted + jobs > most:
                        return False
        elif _age(owner) >= _MAX_AGE and owner.background is None:
            owner.background = asyncio.create_task(self._recount_in_background(name, owner, most))
        owner.admitted += jobs
        owner.in_flight += jobs
        return True

    def submitted(self, name: str, jobs: int) -> None:
        """Record that admitted jobs have been stored, or will not be: from now on a count is right about them."""
        self._owners[name].in_flight -= jobs

    async def _recount(self, name: str, owner: _Owner, most: int) -> None:
        in_flight, admitted = owner.in_flight, owner.admitted
        now = asyncio.get_running_loop().time
        if now() - owner.failed_at < _MAX_AGE:
            return
        try:
            live = await self._count(name, most + 1)
        except Unavailable:
            # Without the database no submission succeeds either, and those that wait for it know best for how long.
            owner.failed_at = now()
            return
        owner.live = live + in_flight
        owner.admitted -= admitted
        owner.counted_at = now()

    async def _recount_in_background(self, name: str, owner: _Owner, most: int) -> None:
        try:
            async with owner.counting:
                await self._recount(name, owner, most)
        finally:
            owner.background = None

    def _owner(self, name: str) -> _Owner:
        owner = self._owners.get(name)
        if owner is None:
            if len(self._owners) >= _MAX_OWNERS:
                self._owners = {
                    name: owner for name, owner in self._owners.items() if owner.in_flight or owner.counting.locked()
                }
            owner = self._owners[name] = _Owner()
        return owner

    @staticmethod
    def _is_far_from_limit(owner: _Owner, jobs: int, most: int) -> bool:
        age = _age(owner)
        if age >= _MAX_AGE and (age >= _MAX_AGE_IF_FEW or 4 * (owner.live + owner.admitted + jobs) > most):
            return False
        return owner.admitted + jobs <= (most - owner.live) / 2


def _age(owner: _Owner) -> float:
    return asyncio.get_running_loop().time() - owner.counted_at
