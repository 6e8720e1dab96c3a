"""What a stream still has to send, within bounds, and all streams of this process that are open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Seconds that a stream has to send its rest when the process stops.
_LAST_WORDS: Final = 1.0


class SendBuffer:
    """Bytes for one reader. One that lets more than ``limit`` bytes pile up is dropped. Used in one event loop."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._chunks: list[bytes] = []
        self._size = 0
        self._news = asyncio.Event()
        self._ended = False
        #: Set when the reader is to be dropped, whatever it still has to receive.
        self.dropped = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether nothing more is taken in."""
        return self._ended

    def put(self, chunk: bytes) -> None:
        """Send this as well; without effect once the stream has ended."""
        if self._ended:
            return
        self._size += len(chunk)
        if self._size > self._limit:
            self.drop()
            return
        self._chunks.append(chunk)
        self._news.set()

    def end(self) -> None:
        """Send what there is, and then end the stream."""
        self._ended = True
        self._news.set()

    def drop(self) -> None:
        """End the stream without sending the rest."""
        self._chunks.clear()
        self.dropped.set()
        self.end()

    async def take(self, seconds: float) -> bytes | None:
        """Return what there is to send, b"" if nothing comes for ``seconds``, None at the end."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return b""
        if not self._chunks:
            return None
        taken, self._chunks, self._size = b"".join(self._chunks), [], 0
        if not self._ended:
            self._news.clear()
        return taken


class OpenStreams:
    """All streams of this process, so that they end when it does."""

    def __init__(self, *, limit: int) -> None:
        """``limit``: bytes that one reader may be behind."""
        self._limit = limit
        self._open: set[SendBuffer] = set()
        self._stopped = False

    def __len__(self) -> int:
        return len(self._open)

    def new(self) -> SendBuffer:
        """Return the outbox of a new stream."""
        return SendBuffer(limit=self._limit)

    @contextmanager
    def kept(self, buffer: SendBuffer) -> Iterator[None]:
        """Let the stream be open until the block ends."""
        self._open.add(buffer)
        if self._stopped:
            buffer.end()
        try:
            yield
        finally:
            self._open.discard(buffer)
            buffer.end()

    def stop(self) -> None:
        """End all streams, present and future ones; readers that do not take the rest are dropped a second later."""
        self._stopped = True
        for buffer in self._open:
            buffer.end()
            asyncio.get_running_loop().call_later(_LAST_WORDS, buffer.dropped.set)
