"""A primary that becomes a standby: connections are given up, and new ones find the new primary."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, Connection, literal, make_url, select, text

from callboard.db.errors import Unavailable
from callboard.db.sql.engine import Database
from callboard.db.sql.pipeline import PreparedStatement, execute_together
from tests.support.databases import Databases, settings_of
from tests.support.servers import ALL

pytestmark = pytest.mark.faults

_WRITE = text("CREATE TEMPORARY TABLE written (id int) ON COMMIT DROP")


def by_sqlalchemy(connection: Connection) -> None:
    connection.execute(_WRITE)


def by_pipeline(connection: Connection) -> None:
    """As the hottest statements are sent."""
    execute_together(connection, (PreparedStatement(select(literal(1))), {}), (PreparedStatement(_WRITE), {}))


@dataclass
class Pair:
    """Two servers that one URL names."""

    servers: list[URL]
    role: str

    @property
    def url(self) -> str:
        hosts = ",".join(f"{server.host}:{server.port}" for server in self.servers)
        return f"postgresql://{self.role}:secret@{hosts}/postgres?target_session_attrs=read-write"

    def make_read_only(self, number: int) -> None:
        """Have one of them refuse writes, as a standby does: on connections that are made from now on."""
        with psycopg.connect(self.servers[number].render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(sql.Identifier(self.role))
            )


@pytest.fixture
def pair(databases: Databases) -> Iterator[Pair]:
    if len(ALL) < 2:
        pytest.skip("one server was given, and this needs two")
    with ExitStack() as stack:
        urls = [stack.enter_context(databases.fresh(kind)) for kind in ALL]
        pair = Pair([make_url(url) for url in urls], f"failover_{secrets.token_hex(6)}")
        for url in urls:  # libpq has one name and password for all hosts
            connection = stack.enter_context(psycopg.connect(url, autocommit=True))
            role = sql.Identifier(pair.role)
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(role))
            stack.callback(connection.execute, sql.SQL("DROP ROLE {}").format(role))
        yield pair


@pytest.mark.parametrize("write", [by_sqlalchemy, by_pipeline])
def test_a_primary_that_became_read_only_is_left(pair: Pair, write: Callable[[Connection], None]) -> None:
    database = Database(settings_of(pair.url), role="test", pool_size=2)
    with database.begin() as first, database.begin() as second:
        assert {_port(first), _port(second)} == {pair.servers[0].port}
        write(first)
    pair.make_read_only(0)
    with database.begin() as connection:
        connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))

    with pytest.raises(Unavailable, match="read-only"), database.begin() as connection:
        write(connection)

    # All of its connections, not only the one that noticed.
    with database.begin() as first, database.begin() as second:
        write(first)
        write(second)
        assert {_port(first), _port(second)} == {pair.servers[1].port}
    database.close()


def test_a_standby_is_passed_over(pair: Pair) -> None:
    pair.make_read_only(0)
    database = Database(settings_of(pair.url), role="test", pool_size=2)
    with database.begin() as connection:
        by_sqlalchemy(connection)
        assert _port(connection) == pair.servers[1].port
    database.close()


def _port(connection: Connection) -> int:
    port: int = connection.execute(text("SELECT inet_server_port()")).scalar_one()
    return port
