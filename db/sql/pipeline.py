"""Statements of the hottest paths: compiled once, then sent by psycopg itself, several in one round trip.

For each execution SQLAlchemy looks a statement up, binds its parameters and wraps its rows, which costs several times
as much as sending a prepared statement. These statements are written with SQLAlchemy all the same, run on its
connections and raise its errors. Their parameters are numbered as PostgreSQL has them ($1), so psycopg does not rewrite
the SQL either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from enum import Enum
from typing import Any, Final

import psycopg
from psycopg import RawCursor
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.rows import dict_row
from sqlalchemy import Connection, Executable, func, literal, select
from sqlalchemy.dialects.postgresql.psycopg import dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

RowDict = dict[str, Any]

_DIALECT: Final = dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class PreparedStatement:
    """A statement of SQLAlchemy Core, compiled once, whose parameters psycopg can send without SQLAlchemy's types."""

    def __init__(self, statement: Executable) -> None:
        """
        Raises:
            TypeError: it has a parameter whose SQL depends on its value, such as a list after IN.
        """
        compiled = statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 (only DDL compiles to anything else)
        if compiled.post_compile_params or compiled.literal_execute_params:
            raise TypeError(f"Write the lists of this statement out, or as arrays: {compiled}")
        self.sql: Final = str(compiled).encode()
        self._names: Final = compiled.positiontup or []
        constants = {name: compiled.binds[name] for name in self._names}
        self._constants: Final = {
            name: bind.value.value if isinstance(bind.value, Enum) else bind.value
            for name, bind in constants.items()
            if not bind.required
        }

    def parameters(self, given: Mapping[str, Any]) -> list[Any]:
        """Return the values of all parameters in order: those ``given`` and the statement's constants."""
        return [given[name] if name in given else self._constants[name] for name in self._names]


StatementCall = tuple[PreparedStatement, Mapping[str, Any]]
"""A statement with its parameters."""

NOT_DURABLE: Final[StatementCall] = (
    PreparedStatement(select(func.set_config("synchronous_commit", "off", literal(value=True)))),
    {},
)
"""Turns ``synchronous_commit`` off for the transaction that it is part of: if the database server crashes within the
next second, the whole transaction may be undone. For writes that would be repeated then, harmlessly."""


def execute_together(
    connection: Connection, *calls: StatementCall, commit: bool = False, afterwards: Sequence[StatementCall] = ()
) -> list[list[RowDict]]:
    """Execute statements, in order, in one round trip; return the rows of each by column name.

    On an autocommit connection they are one transaction: all are durable on return, or none has happened.

    Args:
        commit: also commit the transaction that the connection is in, in the same round trip.
        afterwards: statements that follow in a transaction of their own, still in the same round trip, for an
            autocommit connection. Their rows are dropped, and whether they commit makes no difference.

    Raises:
        DBAPIError: as SQLAlchemy's own ``execute`` does.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 (callboard.db.sql.engine makes no others)
    following: list[RawCursor[Any]] = []
    try:
        with driver.pipeline() if len(calls) > 1 or commit or afterwards else nullcontext() as pipeline:
            cursors = [
                RawCursor(driver, row_factory=dict_row).execute(statement.sql, statement.parameters(given))
                for statement, given in calls
            ]
            if commit:
                driver.commit()
            if pipeline is not None and afterwards:
                pipeline.sync()
                following = [
                    RawCursor(driver).execute(statement.sql, statement.parameters(given))
                    for statement, given in afterwards
                ]
        return [_rows_of(cursor) for cursor in cursors]
    except (psycopg.Error, IndexError) as error:
        if following and all(cursor.pgresult is not None for cursor in following) and not driver.closed:
            # They ran, so all before them is durable; only their own COMMIT failed. Its error is one result more than
            # psycopg counts, whose queue of results may then be empty; its connection does not leave the pipeline.
            connection.invalidate(error)
            return [_rows_of(cursor) for cursor in cursors]
        if isinstance(error, IndexError):
            raise
        # The connection to a server that has become a standby is as good as lost.
        lost = driver.closed or isinstance(error, ReadOnlySqlTransaction)
        if lost:
            connection.invalidate(error)
            connection.engine.dispose()  # the others are as old: SQLAlchemy replaces them all, too
        raise DBAPIError.instance(
            None, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=lost, dialect=_DIALECT
        ) from error


def _rows_of(cursor: RawCursor[RowDict]) -> list[RowDict]:
    # cursor.description says the same, but makes an object for each column.
    return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []
