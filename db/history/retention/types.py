"""The job types in a table of history, with one index lookup each, however many jobs there are."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text


def types_in(connection: Connection, history: str) -> Sequence[str]:
    """Return the job types in ``history``, in order.

    Args:
        connection: to read with.
        history: the name of ``job_history`` or of one of its partitions. It becomes part of the SQL as it is.
    """
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
