"""Databases with a made-up history, one a server and test module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

from sqlalchemy import text

from callboard.db.history.rollups.counting import count_pending
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.history_generator import generate_history
from tests.support.databases import Databases, settings_of

JOBS = 6_000
DAYS = 70
"""Three months at least have a partition with jobs."""
COUNTED_HOURS = 28
"""The rollups have the latest hours only: counting all takes long."""


@contextmanager
def sample_histories(databases: Databases) -> Iterator[Callable[[str], Settings]]:
    """Yield a function from a server to the settings of a database there; it is made when it is first asked for."""
    with ExitStack() as stack:

        @cache
        def history(server: str) -> Settings:
            settings = settings_of(stack.enter_context(databases.migrated(server)))
            database = Database(settings, role="test")
            generate_history(database, job_count=JOBS, days=DAYS, seed=7)
            with database.begin() as connection:
                connection.execute(
                    text(
                        "DELETE FROM callboard.history_rollup_pending "
                        "WHERE starts_at < now() - make_interval(hours => :hours)"
                    ),
                    {"hours": COUNTED_HOURS},
                )
            count_pending(database)
            with database.autocommit() as connection:  # what autovacuum does in a while: statistics, block ranges
                connection.execute(text("VACUUM (ANALYZE) callboard.job_history, callboard.job_attempts"))
            database.close()
            return settings

        yield history
