"""Faults at a chosen statement: it waits for a lock of the test, which then terminates its backend."""

from __future__ import annotations

from sqlalchemy import Connection, text

from callboard.db.sql.engine import Database
from tests.support.until import until

_WAITING_FOR = text("SELECT pid FROM pg_stat_activity WHERE :holder = ANY (pg_blocking_pids(pid))")
_TERMINATE = text("SELECT pg_terminate_backend(:pid, 5000)")


def backend_of(connection: Connection) -> int:
    """Return the pid of a connection's backend."""
    pid: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    return pid


def until_blocked_by(database: Database, holder: int) -> int:
    """Return the pid of the backend that waits for a lock of ``holder``, once there is one."""
    with database.autocommit() as connection:
        return until(lambda: connection.execute(_WAITING_FOR, {"holder": holder}).scalar(), what="a backend") or 0


def terminate_blocked_by(database: Database, holder: int) -> None:
    """End the connection whose statement waits for a lock of ``holder``, once there is one."""
    waiting = until_blocked_by(database, holder)
    with database.autocommit() as connection:
        connection.execute(_TERMINATE, {"pid": waiting})
