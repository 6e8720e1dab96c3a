"""Schema ``analytics``, which the migrations leave out where their user may not make it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

ANALYTICS: Final = "analytics"

#: What the migrations make in it, in order.
_SCRIPTS: Final = (
    "0006_analytics/01_schema.sql",
    "0006_analytics/03_jobs.sql",
    "0006_analytics/04_hours.sql",
    "0006_analytics/05_days.sql",
    "0009_history_reads/02_views.sql",
    "0012_duration_buckets/01_views.sql",
    "0016_waiting_for_workers/01_views.sql",
)

_MAY_CREATE: Final = text(f"""
SELECT coalesce(
    has_schema_privilege(to_regnamespace('{ANALYTICS}'), 'CREATE'),
    has_database_privilege(current_database(), 'CREATE')
)
""")


def has_analytics(connection: Connection) -> bool:
    """Return whether the views are there."""
    found = connection.execute(text(f"SELECT to_regclass('{ANALYTICS}.jobs') IS NOT NULL"))
    return bool(found.scalar_one())


def ensure_analytics(connection: Connection, migrations: Path) -> bool:
    """Make the schema and its views if they are missing.

    Args:
        connection: in a transaction, as the owner of the tables.
        migrations: the folder of the migrations.

    Returns:
        False, with nothing changed, when they are missing and this user may not make them.
    """
    if has_analytics(connection):
        return True
    if not connection.execute(_MAY_CREATE).scalar_one():
        return False
    if connection.execute(text(f"SELECT to_regnamespace('{ANALYTICS}') IS NULL")).scalar_one():
        connection.execute(text(f"CREATE SCHEMA {ANALYTICS}"))
    for script in _SCRIPTS:
        connection.exec_driver_sql((migrations / "sql" / script).read_text(encoding="utf-8"))
    return True
