"""The API keys as this process knows them: read together, again and again, so that no request waits for its own."""

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

#: Seconds. A revoked key opens nothing any more after OLDEST; keys are read anew in the background before that.
OLDEST: Final = 5.0
_RENEW_AFTER: Final = 2.0
#: Keys that are unknown here may have been made just now. Between two looks for such lies at least this time, however
#: many there are: guessing is slow, and does not reach the database.
_LOOK_AGAIN_AFTER: Final = 0.25
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0


class ApiKeys:
    """Used in one event loop. As with submissions, an outage of the database as short as a restart is waited for."""

    def __init__(self, read: Callable[[], Awaitable[Keys]], *, retry_for: float) -> None:
        """
        Args:
            read: returns the keys that are valid now; may raise ``Unavailable``.
            retry_for: seconds for which it is tried again then.
        """
        self._read = read
        self._retry_for = retry_for
        self._keys: Keys | None = None
        self._read_at = 0.0
        self._renewal: asyncio.Task[Keys] | None = None

    async def keys(self) -> Keys:
        """Return the keys as they were at most :data:`OLDEST` seconds ago.

        Raises:
            Unavailable: the database did not answer.
        """
        age = asyncio.get_running_loop().time() - self._read_at
        if self._keys is None or age > OLDEST:
            # Shielded: others wait for it too.
            return await asyncio.shield(self._renew())
        if age > _RENEW_AFTER:
            self._renew()
        return self._keys

    async def find(self, key_id: str) -> Key | None:
        """Return a valid key; None if there is none of this id.

        Raises:
            Unavailable: the database did not answer.
        """
        key = (await self.keys()).valid.get(key_id)
        if key is None:
            key = (await self._keys_of_now()).valid.get(key_id)
        return key if key is not None and key.is_valid(datetime.now(UTC)) else None

    def close(self) -> None:
        """Stop reading. Called in the loop."""
        if self._renewal is not None:
            self._renewal.cancel()

    async def _keys_of_now(self) -> Keys:
        """Return the keys as they are, after a pause where they have been read just now."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        await asyncio.sleep(max(0.0, self._read_at + _LOOK_AGAIN_AFTER - asked_at))
        while self._keys is None or self._read_at < asked_at:
            await asyncio.shield(self._renew())
        return self._keys

    def _renew(self) -> asyncio.Task[Keys]:
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._read_with_retries())
            self._renewal.add_done_callback(self._renewed)
        return self._renewal

    def _renewed(self, renewal: asyncio.Task[Keys]) -> None:
        self._renewal = None
        # Asked for, or asyncio complains where nobody waited.
        if not renewal.cancelled() and (error := renewal.exception()) is not None:
            _log.warning("the API keys could not be read", reason=str(error))

    async def _read_with_retries(self) -> Keys:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._retry_for
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        while True:
            begun = loop.time()
            try:
                keys = await self._read()
            except Unavailable:
                pause = backoff.next()
                if loop.time() + pause > give_up_at:
                    raise
            else:
                # A key may have been revoked as soon as the reading began.
                self._keys, self._read_at = keys, begun
                return keys
            await asyncio.sleep(pause)
