"""Recounts all pending periods of the rollups at once."""

from __future__ import annotations

from callboard.db.history.rollups import recount_next
from callboard.db.sql.engine import Database


def count_pending(database: Database) -> int:
    """Recount every hour with a pending period, the latest first, each in its own transaction; return how many.

    A dispatcher does what an interrupted call leaves.
    """
    hours = 0
    more = True
    while more:
        with database.begin() as connection:
            more = recount_next(connection)
        hours += more
    return hours
