"""That a long response may go on: its caller is checked again now and then."""

from __future__ import annotations

import asyncio
from typing import Final

from fastapi import Request

from callboard.api.auth.caller import Caller, current_caller
from callboard.api.errors import Forbidden, MisdirectedRequest, Unauthenticated
from callboard.db.errors import Unavailable

#: Seconds between two checks.
CHECK_EVERY: Final = 15.0
#: Seconds that a response goes on while nobody can tell whether its caller still may read it.
_LONGEST_UNCHECKED: Final = 300.0


class Permission:
    """Whether a request would have the same caller now: its key may have been revoked, its token have expired, the role
    have changed, and an open server have been closed. Used in one event loop.
    """

    def __init__(self, request: Request, caller: Caller, *, every: float = CHECK_EVERY) -> None:
        """
        Args:
            request: that is being answered.
            caller: of the request, when it came.
            every: seconds between two checks.
        """
        self._request = request
        self._caller = caller
        self._every = every
        self._confirmed_at = self._next = asyncio.get_running_loop().time()
        self._next += every

    async def lost(self) -> None:
        """Return when the caller may not read on."""
        while True:
            await asyncio.sleep(self._every)
            if not await self._confirm():
                return

    async def require(self) -> None:
        """Require that the caller may read on; looks at most once in so many seconds.

        Raises:
            Forbidden: it may not.
        """
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return
        self._next = now + self._every
        if not await self._confirm():
            raise Forbidden("The caller may not read this any more.")

    async def _confirm(self) -> bool:
        now = asyncio.get_running_loop().time()
        try:
            caller = await current_caller(self._request)
        except (Forbidden, MisdirectedRequest, Unauthenticated):
            return False
        except Unavailable:
            return now - self._confirmed_at < _LONGEST_UNCHECKED
        self._confirmed_at = now
        return (caller.owner, caller.role) == (self._caller.owner, self._caller.role)
