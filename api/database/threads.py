"""Transactions in threads, awaited from the event loop, each within a bound."""

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

#: Connections of the pool that the batchers of submissions and polls find free, however busy the threads are.
_RESERVED: Final = 5


class DatabaseThreads:
    """Runs transactions in threads: everything but the hot paths, which are batched."""

    def __init__(self, database: Database, *, connections: int, timeout: float) -> None:
        """
        Args:
            database: where to.
            connections: size of the database's pool.
            timeout: seconds after which a caller gives up.
        """
        self._database = database
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(max(1, connections - _RESERVED), thread_name_prefix="api-database")

    async def run(self, work: Callable[[Connection], T], *, within: float | None = None) -> T:
        """Return what ``work`` returns, in a transaction that is committed by then.

        Args:
            work: called in a thread, with a connection in a transaction.
            within: seconds after which the caller gives up; None: the timeout of all.

        Raises:
            Unavailable: the database cannot be reached, or this took longer than that; the transaction may still be
                committed.
        """
        seconds = within or self._timeout
        # The request's context goes along: what is logged or audited in the thread names the request.
        in_context = copy_context().run
        future = asyncio.get_running_loop().run_in_executor(self._threads, in_context, self._transact, work)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise Unavailable(f"The database did not answer within {seconds:g} seconds.") from None

    def close(self) -> None:
        """Drop what has not begun, and wait for the end of what has: as long as its statement may take."""
        self._threads.shutdown(cancel_futures=True)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._database.begin() as connection:
            return work(connection)
