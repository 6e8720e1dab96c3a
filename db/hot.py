"""Statements of the hottest paths: compiled once, then sent by psycopg itself, several in one round trip.

SQLAlchemy looks up, binds and wraps anew for each execution, which costs several times as much as sending a prepared
statement does. These are written with it all the same, run on its connections, and raise its errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from enum import Enum
from typing import Any, Final

import psycopg
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.rows import dict_row
from sqlalchemy import Connection, Executable, func, literal, select
from sqlalchemy.dialects.postgresql.psycopg import dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

HotRow = dict[str, Any]

_DIALECT: Final = dialect()  # type: ignore[no-untyped-call]


class HotStatement:
    """A statement of SQLAlchemy Core whose parameters are values that psycopg knows by itself."""

    def __init__(self, statement: Executable) -> None:
        """
        Raises:
            TypeError: it has a parameter whose SQL depends on its value, such as a list after IN.
        """
        compiled = statement.compile(dialect=_DIALECT)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 (what else a statement compiles to is DDL)
        if compiled.post_compile_params or compiled.literal_execute_params:
            raise TypeError(f"Write the lists of this statement out, or as arrays: {compiled}")
        self.sql: Final = str(compiled).encode()
        constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        self._constants: Final = {
            name: value.value if isinstance(value, Enum) else value for name, value in constants.items()
        }

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all parameters: those ``given`` and the statement's constants."""
        return {**self._constants, **given}


HotCall = tuple[HotStatement, Mapping[str, Any]]
"""A statement with its parameters."""

NOT_DURABLE: Final[HotCall] = (
    HotStatement(select(func.set_config("synchronous_commit", "off", literal(value=True)))),
    {},
)
"""Has the transaction that it is a part of not wait for the disk: if the database server crashes within its next
second, all of the transaction may be undone. For what would be done again, and harms nobody if it is."""


def execute_together(
    connection: Connection, *calls: HotCall, commit: bool = False, afterwards: Sequence[HotCall] = ()
) -> list[list[HotRow]]:
    """Execute statements, in order, in one round trip; return the rows of each by column name.

    On an autocommit connection they are one transaction: all are durable on return, or none has happened.

    Args:
        commit: also commit the transaction that the connection is in, in the same round trip.
        afterwards: statements without rows that follow in a transaction of their own, still in the same round trip;
            for an autocommit connection.

    Raises:
        DBAPIError: as SQLAlchemy's own ``execute`` does.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101 (db.engine makes no others)
    try:
        with driver.pipeline() if len(calls) > 1 or commit or afterwards else nullcontext() as pipeline:
            cursors = [
                driver.cursor(row_factory=dict_row).execute(statement.sql, statement.parameters(given))
                for statement, given in calls
            ]
            if commit:
                driver.commit()
            if pipeline is not None and afterwards:
                pipeline.sync()
                for statement, given in afterwards:
                    driver.execute(statement.sql, statement.parameters(given))
        return [cursor.fetchall() if cursor.description else [] for cursor in cursors]
    except psycopg.Error as error:
        # A server that has become a standby is as good as lost.
        lost = driver.closed or isinstance(error, ReadOnlySqlTransaction)
        if lost:
            connection.invalidate(error)
            connection.engine.dispose()  # the others are as old: SQLAlchemy gives them all up, too
        raise DBAPIError.instance(
            None, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=lost, dialect=_DIALECT
        ) from error
