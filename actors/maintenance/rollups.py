"""The upkeep of the rollups: following the history, and counting what may have changed."""

from __future__ import annotations

import time
from typing import Final

from callboard.actors.maintenance.leader import leads
from callboard.db.history.rollups import follow, recount_next
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.sql.pipeline import NOT_DURABLE, execute_together

#: A transaction that ends jobs has at most so many statements before the first one that writes.
_STATEMENTS: Final = 3
#: Seconds of counting in a row, when there is much to count.
_AT_ONCE: Final = 2.0
#: The database spends at most this share of its time on the rollups, unless they have to catch up.
_SHARE: Final = 0.1


class Rollups:
    """Follows the history. Each call returns the seconds after which it wants to be called again."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._interval = settings.maintenance_interval
        self._late = _STATEMENTS * settings.statement_timeout

    def follow(self) -> float:
        """Count what has changed since the last call, or a part of it if that is much.

        Raises:
            Unavailable: the database cannot be reached.
        """
        began = time.monotonic()
        with self._database.begin() as connection:
            execute_together(connection, NOT_DURABLE)
            if not leads(connection, "rollups"):
                return self._interval
            follow(connection, late=self._late)
        # The latest hour has changed each time, so whoever catches up counts an older one, too.
        more = self._recount() and self._recount()
        while more and time.monotonic() - began < _AT_ONCE:
            more = self._recount()
        spent = time.monotonic() - began
        return 0.0 if more else max(self._interval, spent / _SHARE)

    def _recount(self) -> bool:
        with self._database.begin() as connection:
            execute_together(connection, NOT_DURABLE)
            return recount_next(connection)
