"""A database that refuses a value, as one of another encoding refuses some characters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from callboard.db.sql.engine import Database


@contextmanager
def refusing(database: Database, table: str, column: str, word: str) -> Iterator[None]:
    """Have the database refuse rows of a table with a word in a column."""
    alter = f"ALTER TABLE callboard.{table}"
    with database.begin() as connection:
        connection.execute(text(f"{alter} ADD CONSTRAINT refused CHECK ({column}::text NOT LIKE '%{word}%')"))
    try:
        yield
    finally:
        with database.begin() as connection:
            connection.execute(text(f"{alter} DROP CONSTRAINT refused"))
