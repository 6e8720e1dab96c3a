"""The duties that delete history, by the retention rules."""

from __future__ import annotations

import structlog

from callboard.actors.maintenance.leader import leads
from callboard.db.errors import Unavailable
from callboard.db.history.retention import START, drop_month, sweep
from callboard.db.sql.engine import Database

_log = structlog.get_logger(__name__)

#: Seconds. A month that is in use by a query is tried again soon; erasing is slow enough not to disturb others.
_RETRY_AFTER = 10.0
_GO_ON_AFTER = 0.5


class Retention:
    """Drops months, and erases single jobs in the others.

    Each call is one short transaction, and returns the seconds until the next call; None for the duty's interval. The
    position of a sweep is not stored: another process begins anew, and passes over jobs that have been erased.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._position = START

    def drop(self) -> float | None:
        """Drop a month whose jobs may all be deleted. One that is in use is tried again after 10 seconds."""
        dropped: list[str] = []
        try:
            with self._database.begin() as connection:
                more = leads(connection, "retention drop") and drop_month(connection, dropped=dropped.append)
        except Unavailable as error:
            _log.warning("retention_postponed", reason=str(error))
            return _RETRY_AFTER
        for month in dropped:
            _log.info("history_dropped", month=month)
        return _GO_ON_AFTER if more else None

    def sweep(self) -> float | None:
        """Check the next jobs, and erase those that may be deleted.

        Raises:
            Unavailable: the database cannot be reached.
        """
        with self._database.begin() as connection:
            position = sweep(connection, self._position) if leads(connection, "retention sweep") else None
        if position is not None and position.erased:
            _log.info("history_erased", jobs=position.erased)
        self._position = position or START
        return _GO_ON_AFTER if position else None
