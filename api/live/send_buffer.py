"""Send buffers of live streams, bounded, and the set of all open streams of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Seconds that a stream has for sending its rest when it is ended promptly.
_FLUSH_TIMEOUT: Final = 1.0


class SendBuffer:
    """Bytes that one stream has yet to send. A client that lets them exceed a limit is dropped. Used in one event loop.

    Attributes:
        dropped: set when the client is to be disconnected, whatever is still to be sent.
    """

    def __init__(self, *, limit: int) -> None:
        """``limit``: most bytes in the buffer."""
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0
        self._readable = asyncio.Event()
        self._ended = False
        self.dropped = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether the buffer takes nothing more."""
        return self._ended

    def put(self, chunk: bytes) -> None:
        """Append bytes; without effect once the stream has ended."""
        if self._ended:
            return
        self._size += len(chunk)
        if self._size > self._limit:
            self.drop()
            return
        self._chunks.append(chunk)
        self._readable.set()

    def end(self) -> None:
        """End the stream once the bytes in the buffer have been sent."""
        self._ended = True
        self._readable.set()

    def end_promptly(self) -> None:
        """End the stream; a client that has not received the rest in a second is dropped."""
        self.end()
        asyncio.get_running_loop().call_later(_FLUSH_TIMEOUT, self.dropped.set)

    def drop(self) -> None:
        """End the stream without sending the bytes in the buffer."""
        self._chunks.clear()
        self.dropped.set()
        self.end()

    async def take(self, *, within: float) -> bytes | None:
        """Empty the buffer and return its bytes: b"" if none come ``within`` so many seconds, None after the last."""
        try:
            async with asyncio.timeout(within):
                await self._readable.wait()
        except TimeoutError:
            return b""
        if not self._chunks:
            return None
        content, self._chunks, self._size = b"".join(self._chunks), [], 0
        if not self._ended:
            self._readable.clear()
        return content


class OpenStreams:
    """All open streams of this process, which end when it does."""

    def __init__(self, *, limit: int) -> None:
        """``limit``: most bytes in the buffer of one stream."""
        self._limit = limit
        self._open: set[SendBuffer] = set()
        self._stopped = False

    def __len__(self) -> int:
        return len(self._open)

    def new_buffer(self) -> SendBuffer:
        """Return the buffer of a new stream."""
        return SendBuffer(limit=self._limit)

    @contextmanager
    def registered(self, buffer: SendBuffer) -> Iterator[None]:
        """Count the stream among the open ones until the block ends."""
        self._open.add(buffer)
        if self._stopped:
            buffer.end()
        try:
            yield
        finally:
            self._open.discard(buffer)
            buffer.end()

    def stop(self) -> None:
        """End all streams, present and future ones. Clients that have not received the rest in a second are dropped."""
        self._stopped = True
        for buffer in self._open:
            buffer.end_promptly()
