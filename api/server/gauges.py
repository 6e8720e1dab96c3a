"""Metrics that are read from the database, at most once a second however many scrape them."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from callboard.api.database.threads import DatabaseThreads
from callboard.db.errors import Unavailable
from callboard.db.fleet.gauges import Gauges, read_gauges

#: Seconds for which the last values are returned again.
_MAX_AGE: Final = 1.0
#: Seconds; below Prometheus's default timeout of ten.
_TIMEOUT: Final = 3.0


class GaugeCache:
    """The last gauges, read again when they are a second old. Used in one event loop."""

    def __init__(self, threads: DatabaseThreads) -> None:
        self._threads = threads
        self._lock = asyncio.Lock()
        self._latest: Gauges | None = None
        self._read_at = -_MAX_AGE

    async def get(self) -> Gauges | None:
        """Return gauges at most a second old; None while the database does not answer."""
        async with self._lock:
            if time.monotonic() - self._read_at >= _MAX_AGE:
                try:
                    self._latest = await self._threads.run(read_gauges, within=_TIMEOUT)
                except Unavailable:
                    self._latest = None
                self._read_at = time.monotonic()
            return self._latest
