"""Live jobs at once: counted now and then, and exactly when it gets tight."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

#: Seconds for which a count is good, as long as less than half of what was free then has been used.
_GOOD_FOR: Final = 0.5
_MOST_OWNERS: Final = 10_000


@dataclass(slots=True)
class _Owner:
    # Jobs that live, as counted, with those that were being submitted at that time.
    live: int = 0
    counted_at: float = -_GOOD_FOR
    admitted: int = 0
    """Since then."""
    underway: int = 0
    """Admitted, and perhaps not stored yet: a count may miss them."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class LiveJobs:
    """How many live jobs each owner has, as far as this process has to know. Used in one event loop.

    A process never admits more than a limit by itself. Several that admit jobs of one owner in the same moments may
    exceed it by as much as they admit between two counts.
    """

    def __init__(self, count: Callable[[str, int], Awaitable[int]]) -> None:
        """``count(owner, most)`` returns the number of the owner's live jobs, or ``most`` if there are more."""
        self._count = count
        self._owners: dict[str, _Owner] = {}

    async def admit(self, name: str, jobs: int, *, most: int) -> bool:
        """Whether an owner may have so many jobs more; if so they count from now on, and :meth:`submitted` is called.

        Raises:
            Unavailable: the database did not answer.
        """
        owner = self._owner(name)
        if not self._is_roomy(owner, jobs, most):
            async with owner.turn:
                if not self._is_roomy(owner, jobs, most):
                    underway, admitted = owner.underway, owner.admitted
                    live = await self._count(name, most + 1)
                    owner.live = live + underway
                    owner.admitted -= admitted
                    owner.counted_at = asyncio.get_running_loop().time()
                    if owner.live + owner.admitted + jobs > most:
                        return False
        owner.admitted += jobs
        owner.underway += jobs
        return True

    def submitted(self, name: str, jobs: int) -> None:
        """Tell that jobs which were admitted are stored, or will not be: from now on a count says so."""
        self._owners[name].underway -= jobs

    def _owner(self, name: str) -> _Owner:
        owner = self._owners.get(name)
        if owner is None:
            if len(self._owners) >= _MOST_OWNERS:
                self._owners = {
                    name: owner for name, owner in self._owners.items() if owner.underway or owner.turn.locked()
                }
            owner = self._owners[name] = _Owner()
        return owner

    @staticmethod
    def _is_roomy(owner: _Owner, jobs: int, most: int) -> bool:
        if asyncio.get_running_loop().time() - owner.counted_at >= _GOOD_FOR:
            return False
        return owner.admitted + jobs <= (most - owner.live) / 2
