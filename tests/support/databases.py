"""Databases for tests: one a process and server, migrated once and emptied for each test; and fresh ones."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from callboard.db.models import SCHEMA, metadata
from callboard.db.schema.migrate import migrate
from callboard.db.settings import Settings
from tests.support.servers import Servers

# A test that left a connection with locks behind must fail the next one, not hang it. No trigger keeps the audit log.
_EMPTYING = "-c lock_timeout=10s -c session_replication_role=replica"
_TABLES = [sql.Identifier(SCHEMA, table.name) for table in metadata.sorted_tables]
_TRUNCATE = sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(_TABLES))
_DELETE = sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(table) for table in reversed(_TABLES))
_SIZE = sql.SQL(
    "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = {}::regnamespace AND relkind = 'r'"
).format(SCHEMA)
# Truncating makes a new file for each of two hundred tables and indexes, and costs more than most tests do.
_WORTH_TRUNCATING = 2 * 2**20


class Databases:
    """The migrated databases of this process, one on each server that is asked for."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._stack = ExitStack()
        self._urls: dict[str, str] = {}
        self._templates: dict[str, str] = {}
        self._emptying: dict[str, psycopg.Connection] = {}

    def emptied(self, kind: str) -> str:
        """Return the URL of this process's database on that server, migrated and without a row."""
        url = self._urls.get(kind)
        if url is None:
            url = self._stack.enter_context(new_database(self._servers.url(kind)))
            migrate(settings_of(url))
            self._urls[kind] = url
        try:
            self._empty(url)
        except psycopg.OperationalError:  # the test before has ended all connections
            self._emptying.pop(url).close()
            self._empty(url)
        return url

    def _empty(self, url: str) -> None:
        # One connection for all tests, as a new one knows nothing about the tables and takes longer than the rest.
        if url not in self._emptying:
            self._emptying[url] = psycopg.connect(url, autocommit=True, options=_EMPTYING)
        connection = self._emptying[url]
        size = connection.execute(_SIZE).fetchone()
        connection.execute(_TRUNCATE if size is not None and size[0] > _WORTH_TRUNCATING else _DELETE)

    @contextmanager
    def fresh(self, kind: str) -> Iterator[str]:
        """Yield the URL of a new database without any table, dropped afterwards."""
        with new_database(self._servers.url(kind)) as url:
            yield url

    @contextmanager
    def migrated(self, kind: str) -> Iterator[str]:
        """Yield the URL of a new database with all tables, which a test may change; dropped afterwards."""
        template = self._templates.get(kind)
        if template is None:
            template = self._stack.enter_context(new_database(self._servers.url(kind)))
            migrate(settings_of(template))
            self._templates[kind] = template
        with new_database(self._servers.url(kind), template=make_url(template).database or "") as url:
            yield url

    def close(self) -> None:
        """Drop the databases and leave the servers."""
        for connection in self._emptying.values():
            connection.close()
        self._stack.close()
        self._servers.close()


def settings_of(url: str, **changes: object) -> Settings:
    """Return the settings for a database, with their defaults otherwise."""
    return Settings(database_url=SecretStr(url), **changes)  # type: ignore[arg-type]


@contextmanager
def new_database(server_url: str, *, template: str = "template0") -> Iterator[str]:
    """Yield the URL of a new copy of the template on the server; drop it afterwards, whoever is connected."""
    name = sql.Identifier(f"cb_test_{secrets.token_hex(6)}")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template)))
    try:
        yield make_url(server_url).set(database=name.as_string().strip('"')).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
