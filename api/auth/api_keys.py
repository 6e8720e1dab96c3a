"""A cache of the valid API keys: all are read together in the background, and requests do not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from callboard.db.access.keys import Key, Keys
from callboard.db.errors import Unavailable
from callboard.db.rules.backoff import Backoff

_log = structlog.get_logger(__name__)

#: Seconds after which the cache is not used any more: a revoked key is refused after this time at the latest.
OLDEST: Final = 5.0
#: Seconds after which a request has the keys read anew in the background.
_REFRESH_AFTER: Final = 2.0
#: Seconds between two reads for keys that are not in the cache, and may have been made just now. However many are
#: tried, guessing is slow and does not load the database.
_MIN_READ_INTERVAL: Final = 0.25
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0


class ApiKeys:
    """Finds API keys by id. Used in one event loop.

    While the database is away for as long as a restart takes, requests wait, as submissions do.
    """

    def __init__(self, read: Callable[[], Awaitable[Keys]], *, retry_for: float) -> None:
        """
        Args:
            read: returns the keys that are valid now; may raise ``Unavailable``.
            retry_for: seconds for which a read that raised ``Unavailable`` is repeated.
        """
        self._read = read
        self._retry_for = retry_for
        self._keys: Keys | None = None
        self._read_at = 0.0
        self._refreshing: asyncio.Task[Keys] | None = None

    async def keys(self) -> Keys:
        """Return the keys as they were at most :data:`OLDEST` seconds ago.

        Raises:
            Unavailable: the database did not answer.
        """
        age = asyncio.get_running_loop().time() - self._read_at
        if self._keys is None or age > OLDEST:
            # Shielded: other requests wait for it too.
            return await asyncio.shield(self._refresh())
        if age > _REFRESH_AFTER:
            self._refresh()
        return self._keys

    async def find(self, key_id: str) -> Key | None:
        """Return the valid key with this id, or None.

        Raises:
            Unavailable: the database did not answer.
        """
        key = (await self.keys()).valid.get(key_id)
        if key is None:
            key = (await self._read_now()).valid.get(key_id)
        return key if key is not None and key.is_valid(datetime.now(UTC)) else None

    def close(self) -> None:
        """Cancel the read under way. Called in the loop."""
        if self._refreshing is not None:
            self._refreshing.cancel()

    async def _read_now(self) -> Keys:
        """Return the keys as they are now. Waits until the minimum interval after the last read is over."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        await asyncio.sleep(max(0.0, self._read_at + _MIN_READ_INTERVAL - asked_at))
        while self._keys is None or self._read_at < asked_at:
            await asyncio.shield(self._refresh())
        return self._keys

    def _refresh(self) -> asyncio.Task[Keys]:
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._read_with_retries())
            self._refreshing.add_done_callback(self._log_failure)
        return self._refreshing

    def _log_failure(self, refreshing: asyncio.Task[Keys]) -> None:
        self._refreshing = None
        # asyncio complains of an exception that nobody retrieves, and of a background refresh nobody does.
        if not refreshing.cancelled() and (error := refreshing.exception()) is not None:
            _log.warning("api_keys_not_read", reason=str(error))

    async def _read_with_retries(self) -> Keys:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._retry_for
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        while True:
            begun = loop.time()
            try:
                keys = await self._read()
            except Unavailable:
                pause = backoff.next()
                if loop.time() + pause > deadline:
                    raise
            else:
                # The time before the read: a key may have been revoked just after it began.
                self._keys, self._read_at = keys, begun
                return keys
            await asyncio.sleep(pause)
