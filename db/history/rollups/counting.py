"""Counting into the rollups all that is noted, at once."""

from __future__ import annotations

from callboard.db.history.rollups import recount_next
from callboard.db.sql.engine import Database


def count_pending(database: Database) -> int:
    """Count every hour of which something is noted, the latest first, each in a transaction; return how many.

    What is left undone when it is cut off, a dispatcher does.
    """
    hours = 0
    more = True
    while more:
        with database.begin() as connection:
            more = recount_next(connection)
        hours += more
    return hours
