"""Leader locks: each duty is done by one process at a time."""

from __future__ import annotations

from sqlalchemy import Connection, select

from callboard.db.sql.locks import try_lock


def leads(connection: Connection, duty: str) -> bool:
    """Return whether this transaction gets the duty's lock, which it then holds to its end."""
    granted: bool = connection.execute(select(try_lock(f"duty {duty}"))).scalar_one()
    return granted
