"""Which job types a table of history has: one index lookup each, however many jobs there are."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text


def types_in(connection: Connection, history: str) -> Sequence[str]:
    """Return the job types in ``history``: ``job_history`` or one of its partitions, never a name from outside."""
    # PostgreSQL has no skip scan for this before version 18.
    statement = f"""
        WITH RECURSIVE types AS (
            (SELECT type FROM {history} ORDER BY type LIMIT 1)
            UNION ALL
            SELECT (SELECT next.type FROM {history} AS next WHERE next.type > types.type ORDER BY next.type LIMIT 1)
            FROM types WHERE types.type IS NOT NULL
        )
        SELECT type FROM types WHERE type IS NOT NULL
    """  # noqa: S608
    return connection.execute(text(statement)).scalars().all()
