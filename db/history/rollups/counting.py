"""Recounts all pending periods of the rollups at once."""

from __future__ import annotations

from collections.abc import Callable

from callboard.db.history.rollups import recount_next
from callboard.db.sql.engine import Database


def count_pending(database: Database, progress: Callable[[int], None] = lambda _: None) -> int:
    """Recount every hour with a pending period, the latest first, each in its own transaction; return how many.

    A dispatcher does what an interrupted call leaves.

    Args:
        database: with the history.
        progress: called after each hour with the number of hours recounted so far.
    """
    hours = 0
    more = True
    while more:
        with database.begin() as connection:
            more = recount_next(connection)
        hours += more
        progress(hours)
    return hours
