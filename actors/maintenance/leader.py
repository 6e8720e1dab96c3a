"""Leader locks: each duty is done by one process at a time."""

from __future__ import annotations

from sqlalchemy import Connection, func, select


def leads(connection: Connection, duty: str) -> bool:
    """Return whether this transaction gets the duty's lock, which it then holds to its end."""
    lock = func.pg_try_advisory_xact_lock(func.hashtext("callboard.maintenance"), func.hashtext(duty))
    granted: bool = connection.execute(select(lock)).scalar_one()
    return granted
