"""Transactions in threads, awaited from the event loop, each with a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, TypeVar

from sqlalchemy import Connection

from callboard.db.errors import Unavailable
from callboard.db.sql.engine import Database

T = TypeVar("T")

#: Connections of the pool that stay free for the batches of submissions and polls, however busy the threads are.
_RESERVED: Final = 5


class DatabaseThreads:
    """Runs transactions in threads: all but submissions and polls, which are batched."""

    def __init__(self, database: Database, *, connections: int, timeout: float) -> None:
        """
        Args:
            database: provides the connections.
            connections: size of its pool.
            timeout: seconds after which :meth:`run` raises ``Unavailable``.
        """
        self._database = database
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(max(1, connections - _RESERVED), thread_name_prefix="api-database")

    async def run(self, work: Callable[[Connection], T], *, within: float | None = None) -> T:
        """Run ``work`` in a transaction, commit, and return its result.

        Args:
            work: called in a thread, with a connection in a transaction.
            within: another timeout in seconds.

        Raises:
            Unavailable: the database cannot be reached, or the timeout is over; the transaction may still be committed.
        """
        seconds = within or self._timeout
        # With the request's context: log and audit entries of the thread have the request's id.
        in_context = copy_context().run
        future = asyncio.get_running_loop().run_in_executor(self._threads, in_context, self._transact, work)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise Unavailable(f"The database did not answer within {seconds:g} seconds.") from None

    def close(self) -> None:
        """Cancel pending work, and wait for the transactions under way. Blocks for as long as a statement may take."""
        self._threads.shutdown(cancel_futures=True)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._database.begin() as connection:
            return work(connection)
