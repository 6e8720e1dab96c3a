"""The notification that wakes the dispatcher.

The dispatcher also polls: a notification that is lost costs one poll interval at most.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from sqlalchemy import func, literal, select
from sqlalchemy.exc import OperationalError

from callboard.db.errors import Unavailable
from callboard.db.sql.engine import Database
from callboard.db.sql.pipeline import PreparedStatement, StatementCall, execute_together

DISPATCH_CHANNEL: Final = "callboard_dispatch"

WAKE_DISPATCHER: Final[StatementCall] = (
    PreparedStatement(
        # NOTIFY gives the transaction an id of its own, and COMMIT would wait for the disk because of that.
        select(func.set_config("synchronous_commit", "off", literal(value=True)), func.pg_notify(DISPATCH_CHANNEL, ""))
    ),
    {},
)
"""Wakes the dispatcher. It belongs in a transaction of its own, after the one that made jobs due: NOTIFY takes a lock
that all transactions with a NOTIFY share while they commit."""


def notify_dispatcher(database: Database) -> None:
    """Wake the dispatcher, after a transaction that made jobs due.

    Does nothing while the database is away, or its queue of notifications is full: anybody who may connect can fill it.
    """
    with suppress(Unavailable, OperationalError), database.autocommit() as connection:
        execute_together(connection, WAKE_DISPATCHER)
