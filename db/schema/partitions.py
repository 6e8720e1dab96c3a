"""Month partitions of the tables that grow: made ahead of time, and repaired where they come late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Table, text

from callboard.db.models import PARTITIONED, SCHEMA
from callboard.db.sql.locks import lock

_LOCK_TIMEOUT = "1s"


def ensure_partitions(connection: Connection, ahead: int) -> list[str]:
    """Make the partitions of this month and the next ``ahead``; return the names of those that were missing.

    Rows that arrived while a month had no partition are in the default partition; they are moved.

    Raises:
        sqlalchemy.exc.OperationalError: a long transaction, such as a report, uses a table. The caller should try again
            later: rows go to partitions made ahead, and to the default partition once those are used up.
    """
    return _make_missing(connection, lambda: _missing(connection, ahead))


def ensure_months(connection: Connection, first: datetime, last: datetime) -> list[str]:
    """Make the partitions of all months from that of ``first`` to that of ``last``, as :func:`ensure_partitions`."""
    months = range(last.year * 12 + last.month - (first.year * 12 + first.month) + 1)
    return _make_missing(connection, lambda: _absent(connection, [_month(first, offset) for offset in months]))


def _make_missing(connection: Connection, find: Callable[[], list[_Partition]]) -> list[str]:
    if not find():
        return []
    lock(connection, "partitions")
    # While this waits for a table, all later users of the table queue behind.
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    missing = find()  # without those that another process has just made
    for partition in missing:
        _make(connection, partition)
    return [partition.name for partition in missing]


@dataclass(frozen=True, slots=True)
class _Partition:
    """A month of a table: from ``start`` up to, without, ``end``."""

    table: Table
    start: datetime
    end: datetime

    @property
    def name(self) -> str:
        return f"{self.table.name}_{self.start:%Y_%m}"


def _missing(connection: Connection, ahead: int) -> list[_Partition]:
    today: datetime = connection.execute(text("SELECT now() AT TIME ZONE 'UTC'")).scalar_one()
    return _absent(connection, [_month(today, offset) for offset in range(ahead + 1)])


def _absent(connection: Connection, months: list[datetime]) -> list[_Partition]:
    partitions = [_Partition(table, start, _month(start, 1)) for start in months for table in PARTITIONED]
    # Not with to_regclass: it uses the session's cache, which may lack what another session has just committed.
    existing = connection.execute(
        text(
            "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE nspname = :schema AND relname = ANY(:names)"
        ),
        {"schema": SCHEMA, "names": [partition.name for partition in partitions]},
    )
    names = set(existing.scalars())
    return [partition for partition in partitions if partition.name not in names]


def _make(connection: Connection, partition: _Partition) -> None:
    # Made separately, then attached: that locks out no reader or writer of the other partitions, and the rows of the
    # default partition can be moved in between (ATTACH fails while they are there).
    # Every name and bound below is computed here; none comes from outside.
    parent, name = f"{SCHEMA}.{partition.table.name}", f"{SCHEMA}.{partition.name}"
    connection.execute(text(f"CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"))
    connection.execute(text(f"LOCK TABLE {parent}_default IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(
        text(
            f"WITH late AS (DELETE FROM {parent}_default WHERE created_at >= :start AND created_at < :end RETURNING *) "  # noqa: S608
            f"INSERT INTO {name} SELECT * FROM late"
        ),
        {"start": partition.start, "end": partition.end},
    )
    connection.execute(
        text(
            f"ALTER TABLE {parent} ATTACH PARTITION {name} "
            f"FOR VALUES FROM ('{partition.start.isoformat()}') TO ('{partition.end.isoformat()}')"
        )
    )


def _month(day: datetime, offset: int) -> datetime:
    months = day.year * 12 + day.month - 1 + offset
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
