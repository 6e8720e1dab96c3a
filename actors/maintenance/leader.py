"""Duties that one process does at a time, whichever it is."""

from __future__ import annotations

from sqlalchemy import Connection, func, select


def leads(connection: Connection, duty: str) -> bool:
    """Whether the duty is this transaction's: until it ends, no other process has it."""
    lock = func.pg_try_advisory_xact_lock(func.hashtext("callboard.maintenance"), func.hashtext(duty))
    granted: bool = connection.execute(select(lock)).scalar_one()
    return granted
