"""The duty that updates the rollups: it follows the history and counts the hours that may have changed."""

from __future__ import annotations

import time
from typing import Final

from callboard.actors.maintenance.leader import leads
from callboard.db.history.rollups import follow, recount_next
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.sql.pipeline import NOT_DURABLE, execute_together

#: Most statements of a transaction that ends jobs, before its first one that writes.
_STATEMENTS: Final = 3
#: Seconds of counting in one call, if there is much to count.
_LONGEST: Final = 2.0
#: Most of its time that the database spends on the rollups, as a share, unless they have to catch up.
_SHARE: Final = 0.1


class Rollups:
    """Follows the history."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._interval = settings.maintenance_interval
        self._late = _STATEMENTS * settings.statement_timeout

    def follow(self) -> float:
        """Count the hours that have changed since the last call, or some of them if they are many.

        Returns:
            Seconds until the next call.

        Raises:
            Unavailable: the database cannot be reached.
        """
        began = time.monotonic()
        with self._database.begin() as connection:
            execute_together(connection, NOT_DURABLE)
            if not leads(connection, "rollups"):
                return self._interval
            follow(connection, late=self._late)
        # The latest hour has always changed, so catching up takes at least a second one per call.
        more = self._recount() and self._recount()
        while more and time.monotonic() - began < _LONGEST:
            more = self._recount()
        spent = time.monotonic() - began
        return 0.0 if more else max(self._interval, spent / _SHARE)

    def _recount(self) -> bool:
        with self._database.begin() as connection:
            execute_together(connection, NOT_DURABLE)
            return recount_next(connection)
