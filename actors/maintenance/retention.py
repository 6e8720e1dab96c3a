"""The upkeep of history: months and jobs that the retention rules let go."""

from __future__ import annotations

import structlog

from callboard.actors.maintenance.leader import leads
from callboard.db.errors import Unavailable
from callboard.db.history.retention import START, drop_month, sweep
from callboard.db.sql.engine import Database

_log = structlog.get_logger(__name__)

#: Seconds. A month that is in use is tried again soon, as reports end; erasing goes on at a pace that nobody notices.
_RETRY_AFTER = 10.0
_GO_ON_AFTER = 0.5


class Retention:
    """Drops months, and sweeps the others. Each call is one short transaction and returns when it wants the next.

    None stands for the ordinary interval. Where a sweep is, is not stored: another process begins anew, and passes over
    what has been erased.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._position = START

    def drop(self) -> float | None:
        """Drop a month if one may go; one that is in use is tried again."""
        try:
            with self._database.begin() as connection:
                more = leads(connection, "retention drop") and drop_month(connection)
        except Unavailable as error:
            _log.warning("retention_postponed", reason=str(error))
            return _RETRY_AFTER
        return _GO_ON_AFTER if more else None

    def sweep(self) -> float | None:
        """Look at the next jobs, and erase those that may go.

        Raises:
            Unavailable: the database cannot be reached.
        """
        with self._database.begin() as connection:
            position = sweep(connection, self._position) if leads(connection, "retention sweep") else None
        self._position = position or START
        return _GO_ON_AFTER if position else None
