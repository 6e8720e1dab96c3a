"""What a call sends to PostgreSQL: the statements that the server itself says it has received."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from unittest.mock import patch

import psycopg
from psycopg import sql
from sqlalchemy import Connection, event, text

from callboard.db.sql.pipeline import PreparedStatement

_RECEIVED: Final = re.compile(r"(?:statement|execute \S+): (.*)", re.DOTALL)
#: What psycopg says on its own.
_AROUND: Final = re.compile(r"BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE")
#: Statements without parameters, which PREPARE does not take.
UTILITY: Final = re.compile(r"COPY|CREATE|SET")
_GIVEN: Final = object()


@dataclass(frozen=True, slots=True)
class Parameter:
    """What ``$1`` and so on stand for."""

    name: str
    type: str
    """As PostgreSQL infers it."""
    value: str | None
    """An SQL literal where the statement itself says it; None where whoever calls does."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement as PostgreSQL receives it."""

    sql: str
    parameters: Sequence[Parameter] = ()


Call = Callable[[Connection], object]


def sent_by(connection: Connection, call: Call) -> list[Sent]:
    """Return what ``call`` sends, in order, without what begins and ends transactions.

    The server echoes each statement that it receives: whichever way it went, nothing passes by. ``connection`` must be
    a superuser's.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    received: list[str] = []

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        if found := _RECEIVED.fullmatch(diagnostic.message_primary or ""):
            received.append(found[1])

    connection.execute(text("SELECT set_config('client_min_messages', 'log', false)"))
    connection.execute(text("SELECT set_config('log_statement', 'all', false)"))
    driver.add_notice_handler(note)
    try:
        with _named(connection) as named:
            call(connection)
    finally:
        driver.remove_notice_handler(note)
    return [Sent(one, _parameters(driver, one, named.get(one, {}))) for one in received if not _AROUND.match(one)]


@contextmanager
def _named(connection: Connection) -> Iterator[dict[str, Mapping[str, object]]]:
    """Yield, by the text of each statement sent meanwhile, its parameters in order, with their values."""
    named: dict[str, Mapping[str, object]] = {}
    parameters_of = PreparedStatement.parameters

    def prepared(statement: PreparedStatement, given: Mapping[str, Any]) -> list[Any]:
        named[statement.sql.decode()] = {name: statement._constants.get(name, _GIVEN) for name in statement._names}
        return parameters_of(statement, given)

    def other(_connection: Connection, cursor: Any, _sql: str, parameters: Any, context: Any, _many: bool) -> None:
        binds = context.compiled.binds
        named[cursor._query.query.decode()] = {
            name: _GIVEN if name in binds and binds[name].required else parameters[name]
            for name in cursor._query._order or ()
        }

    event.listen(connection, "after_cursor_execute", other)
    try:
        with patch.object(PreparedStatement, "parameters", prepared):
            yield named
    finally:
        event.remove(connection, "after_cursor_execute", other)


def _parameters(driver: psycopg.Connection, statement: str, named: Mapping[str, object]) -> list[Parameter]:
    if UTILITY.match(statement):
        return []
    driver.execute(f"PREPARE asked AS {statement}".encode())
    row = driver.execute("SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'asked'").fetchone()
    driver.execute("DEALLOCATE asked")
    assert row is not None
    return [Parameter(name, type_, _literal(value)) for (name, value), type_ in zip(named.items(), row[0], strict=True)]


def _literal(value: object) -> str | None:
    """Return what is the same on every day, which no id and no time is."""
    plain = value.value if isinstance(value, Enum) else value
    return sql.Literal(plain).as_string() if plain is None or isinstance(plain, str | int | float) else None
