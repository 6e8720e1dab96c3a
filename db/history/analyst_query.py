"""Runs one query of an analyst: read-only, as the role ``callboard_analyst``, with a time limit."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import cast

import psycopg
from sqlalchemy import Connection, text

from callboard.db.errors import ConfigurationError, InvalidInput
from callboard.db.schema.analysts import ANALYST

Row = tuple[object, ...]


def ask(connection: Connection, query: str, *, timeout: float) -> Iterator[Sequence[str] | Row]:
    """Yield the names of the columns (none where there are no rows), then row after row, as PostgreSQL sends them.

    Args:
        connection: at the beginning of a transaction that is used for nothing else.
        query: one SQL statement.
        timeout: seconds that it may take.

    Raises:
        ConfigurationError: this database user may not become the role.
        InvalidInput: PostgreSQL refuses the statement, or it took too long; the message is PostgreSQL's.
    """
    connection.execute(text("SET TRANSACTION READ ONLY"))
    settings = {
        "statement_timeout": f"{timeout * 1000:.0f}",
        "enable_seqscan": "on",
        "jit": "on",
        # As in a session of the analyst's own.
        "search_path": '"$user", public',
        "row_security": "on",
    }
    for name, value in settings.items():
        connection.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": value})
    driver = cast("psycopg.Connection", connection.connection.driver_connection)
    try:
        driver.execute(f"SET LOCAL ROLE {ANALYST}")
    except psycopg.errors.Error as error:
        raise ConfigurationError(
            f"This database user may not become {ANALYST}: {error.diag.message_primary}. Run 'callboard migrate' as "
            f"the owner of the tables, or GRANT {ANALYST} TO this user."
        ) from error
    with driver.cursor() as cursor:
        try:
            # Sent as one statement with parameters (none): PostgreSQL then refuses a second statement behind it.
            rows = cast("Generator[Row, None, None]", cursor.stream(query.encode()))
            with closing(rows):
                first = next(rows, None)
                yield [column.name for column in cursor.description or ()]
                if first is not None:
                    yield first
                    yield from rows
        except (psycopg.errors.DatabaseError, psycopg.errors.InterfaceError) as error:
            raise InvalidInput(str(error).strip() or type(error).__name__) from error
