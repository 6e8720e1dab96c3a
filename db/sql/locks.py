"""Locks that transactions hold to their end: rows of ``callboard.locks``.

Any session may take an advisory lock, an analyst's too, and pg_locks shows it those of others. A row can be locked only
by who may write to its table. Like an advisory lock of a transaction, a row's is gone with the connection, and works
through a pooler.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, ColumnElement, Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from callboard.db.models import SCHEMA, locks

#: The row whose seed the numbers of locks on idempotency keys begin with.
_IDEMPOTENCY_KEYS: Final = "idempotency keys"


def try_lock(name: ColumnElement[str] | str) -> ColumnElement[bool]:
    """Return the condition that this transaction gets the lock ``name``: false while another one holds it.

    Volatile: for a list that no planner reorders, such as a materialised CTE. It writes to the row, so the transaction
    gets an id, and its commit waits for the disk unless ``synchronous_commit`` is off.
    """
    granted: ColumnElement[bool] = getattr(func, SCHEMA).try_lock(name)
    return granted


def queue_lock(queue: ColumnElement[str]) -> ColumnElement[str]:
    """Return the name of the lock of who dispatches the jobs of a queue."""
    return func.concat("queue ", queue)


def lock(connection: Connection, name: str) -> None:
    """Wait for the lock ``name``, at most for ``lock_timeout``.

    Raises:
        sqlalchemy.exc.OperationalError: it was not free in that time.
    """
    ensure_lock(connection, name)
    connection.execute(select(locks.c.name).where(locks.c.name == name).with_for_update())


def ensure_lock(connection: Connection, name: str) -> None:
    """Make the row of the lock ``name``, if it is missing."""
    connection.execute(insert(locks).values(name=name).on_conflict_do_nothing())


def idempotency_lock(owner: ColumnElement[str], key: ColumnElement[str]) -> ColumnElement[int]:
    """Return the number of the advisory lock of an idempotency key, which is secret.

    There is no row to lock before the key is stored. Who sees the number in pg_locks sees it for the milliseconds in
    which the key is being stored, and can do nothing with it afterwards.
    """
    seed = select(locks.c.seed).where(locks.c.name == _IDEMPOTENCY_KEYS).scalar_subquery()
    return func.hashtextextended(owner, func.hashtextextended(key, func.coalesce(seed, 0, type_=BigInteger)))
