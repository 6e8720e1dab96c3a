"""Threads in which large bodies are parsed and validated, so that the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, TypeVar

T = TypeVar("T")

#: Bytes of a body that the event loop itself works on: a thread would cost more than it saves.
SMALL: Final = 32 * 2**10
#: More would make neither faster, as Python runs one thread at a time, and the loop wait for each of them.
_THREADS: Final = 2


class BodyThreads:
    """Runs work on bodies, those of many requests in turn. Used in one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="api-bodies")

    async def run(self, size: int, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, which has to do with a body of ``size`` bytes."""
        if size <= SMALL:
            return work()
        # With the request's context: log entries of the thread have the request's id.
        return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, work)

    def close(self) -> None:
        """Cancel pending work, and wait for the work under way. Blocks."""
        self._threads.shutdown(cancel_futures=True)
