"""The uploads of this process: each occupies a thread while it is stored, so their number is bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Final
from uuid import UUID

import anyio.from_thread
import anyio.to_thread

from callboard.db.errors import Unavailable
from callboard.db.files.storage import Storage, Stored

#: An upload takes as long as its client does. These threads are apart from all others, which slow clients must not
#: occupy.
MAX_UPLOADS: Final = 64


class Uploads:
    """Stores files while they arrive. Used in one event loop."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._limiter = anyio.CapacityLimiter(MAX_UPLOADS)

    async def store(self, file_id: UUID, blocks: AsyncIterator[bytes]) -> Stored:
        """Store the blocks in a thread, which takes each from the event loop when it has written the one before.

        Raises:
            Unavailable: as many uploads as are allowed are under way, or the storage failed.
            StorageFull: the storage has no space left.
            TooLarge: there are more bytes than ``CALLBOARD_MAX_FILE_BYTES``.
        """
        if self._limiter.available_tokens < 1:
            raise Unavailable(f"{MAX_UPLOADS} uploads are under way in this process.")

        async def next_block() -> bytes:
            return await anext(blocks, b"")

        def arriving() -> Iterator[bytes]:
            return iter(lambda: anyio.from_thread.run(next_block), b"")

        return await anyio.to_thread.run_sync(lambda: self._storage.put(file_id, arriving()), limiter=self._limiter)
