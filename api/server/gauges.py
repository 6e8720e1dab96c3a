"""The numbers of the database for those who scrape, read at most once a second."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from callboard.api.database.threads import DatabaseThreads
from callboard.db.errors import Unavailable
from callboard.db.fleet.gauges import Gauges, read_gauges

#: Seconds. However many scrape, and however often, the database is asked once in this time.
_GOOD_FOR: Final = 1.0
#: Seconds; below Prometheus's default timeout of ten.
_TIMEOUT: Final = 3.0


class GaugeCache:
    """The numbers of the database, read again when they are old. Used in one event loop."""

    def __init__(self, threads: DatabaseThreads) -> None:
        self._threads = threads
        self._turn = asyncio.Lock()
        self._latest: Gauges | None = None
        self._read_at = -_GOOD_FOR

    async def get(self) -> Gauges | None:
        """Return the numbers, at most a second old; None when the database does not answer."""
        async with self._turn:
            if time.monotonic() - self._read_at >= _GOOD_FOR:
                try:
                    self._latest = await self._threads.run(read_gauges, within=_TIMEOUT)
                except Unavailable:
                    self._latest = None
                self._read_at = time.monotonic()
            return self._latest
