"""The hint that wakes the dispatcher. It also looks by itself: a hint that is lost costs its poll interval at most."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from sqlalchemy import func, literal, select

from callboard.db.errors import Unavailable
from callboard.db.sql.engine import Database
from callboard.db.sql.pipeline import PreparedStatement, StatementCall, execute_together

DISPATCH_CHANNEL: Final = "callboard_dispatch"

WAKE_DISPATCHER: Final[StatementCall] = (
    PreparedStatement(
        # Else, this transaction too would wait for the disk: NOTIFY gives it an id of its own.
        select(func.set_config("synchronous_commit", "off", literal(value=True)), func.pg_notify(DISPATCH_CHANNEL, ""))
    ),
    {},
)
"""Wakes the dispatcher, in a transaction of its own that follows the one which made jobs due.

Not within it: NOTIFY takes a lock that all its committers share."""


def notify_dispatcher(database: Database) -> None:
    """Wake the dispatcher, after a transaction that made jobs due.

    While the database is away, no hint is given.
    """
    with suppress(Unavailable), database.autocommit() as connection:
        execute_together(connection, WAKE_DISPATCHER)
