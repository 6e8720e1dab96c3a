"""Worker processes that have ended."""

from __future__ import annotations

import platform

import structlog

from callboard.db.errors import CallboardError
from callboard.db.fleet.workers import declare_dead
from callboard.db.sql.engine import Database

_log = structlog.get_logger(__name__)


def report_death(database: Database, pid: int) -> None:
    """Declare the worker of a process that has ended lost. Its jobs then need not wait for the end of its lease."""
    try:
        with database.begin() as connection:
            declare_dead(connection, host=platform.node(), pid=pid)
    except CallboardError as error:
        _log.warning("death_not_reported", pid=pid, reason=str(error))
