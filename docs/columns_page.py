"""Writes docs/history-columns.md from a migrated database: ``CALLBOARD_DATABASE_URL=… python docs/columns_page.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psycopg

from callboard.db.settings import load_settings

PAGE: Final = Path(__file__).with_name("history-columns.md")

HEAD: Final = """# Columns of history

Every table and view of jobs, as the database itself describes them (`\\d+` in psql shows the same). Names and meanings
stay from version to version; new columns may come.

This page is made from the comments in a migrated database by `python docs/columns_page.py`.
"""

RELATIONS: Final = """
SELECT pg_class.oid, nspname || '.' || relname AS name, obj_description(pg_class.oid, 'pg_class') AS about
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE (nspname = 'analytics' AND relkind IN ('v', 'r'))
   OR (nspname = 'callboard' AND relname IN ('jobs', 'job_history', 'job_attempts', 'job_progress'))
ORDER BY nspname, relname
"""

COLUMNS: Final = """
SELECT attname, format_type(atttypid, NULL), col_description(attrelid, attnum)
FROM pg_attribute
WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""


def page(connection: psycopg.Connection) -> str:
    """Return the text of docs/history-columns.md."""
    parts = [HEAD]
    for oid, name, about in connection.execute(RELATIONS).fetchall():
        rows = connection.execute(COLUMNS, [oid]).fetchall()
        table = "".join(f"| `{column}` | {kind} | {text} |\n" for column, kind, text in rows)
        parts.append(f"\n## {name}\n\n{about}\n\n| column | type | what it says |\n|---|---|---|\n{table}")
    return "".join(parts)


if __name__ == "__main__":
    with psycopg.connect(load_settings().require_database_url()) as connection:
        PAGE.write_text(page(connection), encoding="utf-8")
