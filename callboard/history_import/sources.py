"""Sources of imported rows: a file, or a query of another PostgreSQL. Both are CSV, read row by row."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from callboard.db.errors import ConfigurationError, Unavailable
from callboard.db.sql.engine import reason_of
from callboard.history_import.store import Row

#: Bytes. A payload is one field of its row.
_LONGEST_FIELD: Final = 2**27
_SECRETS: Final = frozenset({"password", "sslpassword"})


@contextmanager
def reading_file(file: Path, *, delimiter: str) -> Iterator[csv.DictReader[str]]:
    """Yield the rows of a file, or of stdin for ``-``.

    Raises:
        ConfigurationError: there is no such file.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    if str(file) == "-":
        yield csv.DictReader(sys.stdin, delimiter=delimiter)
        return
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            yield csv.DictReader(stream, delimiter=delimiter)
    except FileNotFoundError as missing:
        raise ConfigurationError(f"There is no file {str(file)!r}.") from missing


@contextmanager
def reading_query(address: str, query: str) -> Iterator[csv.DictReader[str]]:
    """Yield the rows of a query, from a COPY in a read-only transaction of the other server.

    Only the rows that are being read are in memory.

    Args:
        address: URL or connection string of the server.
        query: one SELECT.

    Raises:
        ConfigurationError: the server refuses the query.
        Unavailable: the server cannot be reached, or the connection is lost.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    # On lines of its own: the query may end with a comment.
    statement = f"COPY (\n{query.strip().rstrip(';')}\n) TO STDOUT (FORMAT csv, HEADER)".encode()
    with ExitStack() as stack:
        with _translated_errors():
            connection = stack.enter_context(psycopg.connect(address, client_encoding="UTF8"))
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute("SET LOCAL datestyle TO ISO")
            connection.execute("SET LOCAL statement_timeout TO 0")
            rows = stack.enter_context(connection.cursor().copy(statement))
        yield csv.DictReader(_texts(rows))


def _texts(rows: psycopg.Copy) -> Iterator[str]:
    with _translated_errors():
        for row in rows:
            yield str(row, "utf-8")


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        raise Unavailable(f"The database of --from-url does not answer: {reason_of(error)}.") from error
    except psycopg.Error as error:
        raise ConfigurationError(f"The query cannot be run: {reason_of(error)}.") from error


def has_password(address: str) -> bool:
    """Return whether a URL or connection string of a PostgreSQL has a password.

    Raises:
        ConfigurationError: the text is neither.
    """
    try:
        return not _SECRETS.isdisjoint(conninfo_to_dict(address))
    except psycopg.Error:  # its text may have the password
        raise ConfigurationError(
            "--from-url is neither the URL of a PostgreSQL nor a connection string such as service=old."
        ) from None


def numbered(lines: csv.DictReader[str]) -> Iterator[Row]:
    """Yield each row with the number of its last line. The first row of a query is on line 2, after the header.

    Raises:
        ConfigurationError: the text is not CSV in UTF-8.
    """
    try:
        for row in lines:
            # DictReader has fields beyond the header under the key None, and the value None for missing fields.
            if None in row or None in row.values():
                raise ConfigurationError(
                    f"Line {lines.line_num:,} has not as many fields as the header. Is --delimiter right?"
                )
            yield lines.line_num, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"Line {lines.line_num + 1:,} cannot be read as CSV in UTF-8: {error}.") from error
