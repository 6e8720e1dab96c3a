"""Month partitions of the tables that grow: made ahead, repaired when they were late."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, Table, text

from db.models import PARTITIONED, SCHEMA

_LOCK_TIMEOUT = "1s"


def ensure_partitions(connection: Connection, ahead: int) -> list[str]:
    """Make the partitions of this month and the next ``ahead``; return the names of those that were missing.

    Rows that arrived while a month had no partition lie in the default one; they are moved.

    Raises:
        sqlalchemy.exc.OperationalError: a table is in long use, for example by a report. Trying again later is right:
            nothing is missing until the months made ahead are over, and then the default partition takes the rows.
    """
    # While this waits for a table, all who come after it wait, too.
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    made = []
    today: datetime = connection.execute(text("SELECT now() AT TIME ZONE 'UTC'")).scalar_one()
    for offset in range(ahead + 1):
        start, end = _month(today, offset), _month(today, offset + 1)
        for table in PARTITIONED:
            name = f"{table.name}_{start:%Y_%m}"
            if connection.execute(text("SELECT to_regclass(:name)"), {"name": f"{SCHEMA}.{name}"}).scalar() is None:
                _make(connection, table, name, start, end)
                made.append(name)
    return made


def _make(connection: Connection, table: Table, name: str, start: datetime, end: datetime) -> None:
    # Made aside and attached: that takes no lock that stops readers and writers of the other partitions, and leaves
    # room to move what the default partition holds (attaching would refuse it).
    parent, default = f"{SCHEMA}.{table.name}", f"{SCHEMA}.{table.name}_default"
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})
    if connection.execute(text("SELECT to_regclass(:name)"), {"name": f"{SCHEMA}.{name}"}).scalar() is not None:
        return
    # Every name and bound below is computed here, none comes from outside.
    connection.execute(text(f"CREATE TABLE {SCHEMA}.{name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"))
    bounds = {"start": start, "end": end}
    connection.execute(text(f"LOCK TABLE {default} IN SHARE ROW EXCLUSIVE MODE"))
    connection.execute(
        text(
            f"WITH late AS (DELETE FROM {default} WHERE created_at >= :start AND created_at < :end RETURNING *) "  # noqa: S608
            f"INSERT INTO {SCHEMA}.{name} SELECT * FROM late"
        ),
        bounds,
    )
    connection.execute(
        text(
            f"ALTER TABLE {parent} ATTACH PARTITION {SCHEMA}.{name} "
            f"FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
        )
    )


def _month(day: datetime, offset: int) -> datetime:
    months = day.year * 12 + day.month - 1 + offset
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
