"""The uploads of this process: each occupies a thread while it is stored, so they are shared out among clients."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Final
from uuid import UUID

import anyio.from_thread
import anyio.to_thread

from callboard.api.errors import QuotaExceeded
from callboard.db.errors import TooLarge, Unavailable
from callboard.db.files.storage import Storage, Stored

#: An upload takes as long as its client does. These threads are apart from all others, which slow clients must not
#: occupy.
MAX_UPLOADS: Final = 64
#: Seconds for Retry-After. When an upload will end is not known.
_RETRY_AFTER: Final = 5


class Uploads:
    """Stores files while they arrive. Used in one event loop.

    A client may have as many uploads under way as there is room for besides: one alone half of all, a second one half
    of the rest, and so on. However many one has, there is room for others.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._limiter = anyio.CapacityLimiter(MAX_UPLOADS)
        self._under_way: Counter[str] = Counter()

    async def store(self, file_id: UUID, blocks: AsyncIterator[bytes], *, share: str, quota: StoredBytes) -> Stored:
        """Store the blocks in a thread, which takes each from the event loop when it has written the one before.

        Args:
            file_id: of the new file.
            blocks: its content, as it arrives.
            share: whose share of the uploads it takes.
            quota: how much its owner may store.

        Raises:
            QuotaExceeded: the client has as many uploads under way as its share allows.
            Unavailable: as many uploads as are allowed are under way, or the storage failed.
            StorageFull: the storage has no space left.
            TooLarge: there are more bytes than ``CALLBOARD_MAX_FILE_BYTES``, or than the quota leaves.
        """
        free = MAX_UPLOADS - self._under_way.total()
        if free < 1:
            raise Unavailable(f"{MAX_UPLOADS} uploads are under way in this process.")
        if self._under_way[share] >= free:
            raise _too_many(self._under_way[share])

        async def next_block() -> bytes:
            return await anext(blocks, b"")

        def arriving() -> Iterator[bytes]:
            return quota.metered(iter(lambda: anyio.from_thread.run(next_block), b""))

        self._under_way[share] += 1
        try:
            return await anyio.to_thread.run_sync(lambda: self._storage.put(file_id, arriving()), limiter=self._limiter)
        finally:
            self._under_way[share] -= 1
            # No entry for everybody who has ever stored a file.
            self._under_way += Counter()


class StoredBytes:
    """How many bytes of files an owner may store: at most ``most``, of which ``stored`` are used. 0: no limit."""

    def __init__(self, most: int, stored: int) -> None:
        """
        Raises:
            TooLarge: nothing is left.
        """
        self._most = most
        self._stored = stored
        if most and stored >= most:
            raise self.exceeded()

    def metered(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the blocks.

        Raises:
            TooLarge: they are more than is left.
        """
        stored = self._stored
        for block in blocks:
            stored += len(block)
            if self._most and stored > self._most:
                raise self.exceeded()
            yield block

    def exceeded(self) -> TooLarge:
        """Return the error for a file that is larger than what is left."""
        return TooLarge(
            f"Your files have {self._stored:,} bytes, and may have {self._most:,} together; this one has more than is "
            "left. Delete some (DELETE /v1/files/{id}). CALLBOARD_MAX_STORED_BYTES sets the limit."
        )


def _too_many(under_way: int) -> QuotaExceeded:
    return QuotaExceeded(
        f"You have {under_way} uploads under way, and others need room, too. Begin this one when one has ended.",
        {
            "Retry-After": str(_RETRY_AFTER),
            "RateLimit": f'"uploads";r=0;t={_RETRY_AFTER}',
            "RateLimit-Policy": f'"uploads";q={MAX_UPLOADS // 2}',
        },
    )
