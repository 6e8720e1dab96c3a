"""Whatever database and role have set: connections set what statements rely on, through a pooler, too."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import select, text
from sqlalchemy.engine import make_url

from callboard.actors.dispatch.listener import Listener
from callboard.db.fleet.workers import declare_lost
from callboard.db.history.analyst_query import ask
from callboard.db.models import job_history
from callboard.db.rules.states import Status
from callboard.db.schema.migrate import migrate
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.db.sql.session import unsound_setting
from callboard.embedded.postgres import EmbeddedPostgres
from tests.services.pgbouncer import PgBouncerMissing, private_pgbouncer
from tests.support.databases import Databases, settings_of
from tests.support.factory import Factory
from tests.support.until import until

HOSTILE: Final = {
    "datestyle": "German",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kolkata",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "array_nulls": "off",
    "extra_float_digits": "-15",
    "search_path": "",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "1",
    "lock_timeout": "1",
    "idle_in_transaction_session_timeout": "500",
    "idle_session_timeout": "500",
    "row_security": "off",
    "jit": "on",
    "enable_indexscan": "off",
    "enable_nestloop": "off",
}
#: What a pooler in transaction mode keeps for its clients, and what may be anything.
KEPT: Final = ("row_security", "search_path", "datestyle", "timezone", "client_encoding", "standard_conforming_strings")


def spoil(url: str, values: dict[str, str]) -> None:
    """Have these settings inherited from the database."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in values.items():
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                    sql.Identifier(connection.info.dbname), sql.Identifier(name), sql.Literal(value)
                )
            )


@pytest.fixture
def url(databases: Databases, postgres: str) -> Iterator[str]:
    """A database without any table."""
    with databases.fresh(postgres) as url:
        yield url


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    database = Database(settings, role="test")
    try:
        yield database
    finally:
        database.close()


def rows_survive(settings: Settings) -> None:
    """Write and read what these settings change: times, intervals, numbers, letters, bytes, empty array elements."""
    with opened(settings) as database:
        factory = Factory(database)
        for status in (Status.SUCCEEDED, Status.RETRYING, Status.RUNNING):
            factory.in_state(status, owner="☃ and \\ and '")
        with database.autocommit() as connection:
            row = connection.execute(
                text(
                    "SELECT now() AS at, interval '1 day 2 hours' AS long, 0.1::float8 + 0.2 AS number, '☃' AS snow, "
                    "'\\xff00'::bytea AS bytes, ARRAY[NULL, 'x'] AS array, E'\\\\' AS slash, "
                    "date_trunc('hour', now()) = date_trunc('hour', now(), 'UTC') AS full_hours"
                )
            ).one()
            owners = set(connection.execute(select(job_history.c.owner)).scalars())
        with database.begin() as connection:
            declare_lost(connection, lease_ttl=0)
            assert list(ask(connection, "SELECT owner FROM analytics.jobs", timeout=10))[1] == ("☃ and \\ and '",)
    assert row.at.utcoffset().total_seconds() == 0
    assert row.long.total_seconds() == 26 * 3600
    assert row.number == 0.1 + 0.2
    assert (row.snow, bytes(row.bytes), row.array, row.slash) == ("☃", b"\xff\0", [None, "x"], "\\")
    assert row.full_hours
    assert owners == {"☃ and \\ and '"}


def test_settings_of_the_database_change_nothing(url: str) -> None:
    spoil(url, HOSTILE)
    settings = settings_of(url)

    migrate(settings)
    migrate(settings)

    rows_survive(settings)
    with opened(settings) as database, database.begin() as connection:
        assert unsound_setting(connection) is None


def test_a_connection_may_rest_and_work_as_long_as_it_likes(url: str) -> None:
    spoil(url, HOSTILE)
    with psycopg.connect(url) as connection:
        newer = connection.info.server_version >= 17_00_00
    if newer:
        spoil(url, {"transaction_timeout": "500ms"})
    with opened(settings_of(url)) as database, database.begin() as connection:
        rows = connection.execute(text("SELECT name, setting FROM pg_settings WHERE name LIKE '%_timeout'"))
        found = {row.name: row.setting for row in rows}
    assert found.get("transaction_timeout", "0") == found["idle_session_timeout"] == "0"
    assert found["statement_timeout"] == found["lock_timeout"] == "10000"


def test_settings_of_the_database_change_nothing_behind_a_pooler(url: str) -> None:
    settings = settings_of(url)
    migrate(settings)
    spoil(url, {name: HOSTILE[name] for name in KEPT})
    try:
        with private_pgbouncer(url, pool_size=1) as pooler:
            pooled = settings_of(pooler.url, database_direct_url=url, database_pgbouncer=True)
            rows_survive(pooled)
            with opened(pooled) as one, opened(pooled) as other:  # two clients that share one connection
                for database in (one, other, one):
                    with database.begin() as connection:
                        assert unsound_setting(connection) is None
    except PgBouncerMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("intervalstyle", "postgres"),
        ("extra_float_digits", "1"),
        ("array_nulls", "on"),
        ("default_transaction_isolation", "read committed"),
    ],
)
def test_what_a_pooler_does_not_keep_is_found(url: str, name: str, wanted: str) -> None:
    spoil(url, {name: HOSTILE[name]})
    with opened(settings_of(url, database_pgbouncer=True)) as database, database.begin() as connection:
        found = unsound_setting(connection)
    assert found is not None
    assert (found[0].lower(), found[1]) == (name, wanted)


def test_options_of_the_url_are_kept(url: str) -> None:
    settings = settings_of(f"{url}?options=-c%20work_mem%3D7MB")
    with opened(settings) as database, database.begin() as connection:
        assert connection.execute(text("SHOW work_mem")).scalar_one() == "7MB"
        assert connection.execute(text("SHOW jit")).scalar_one() == "off"


@pytest.fixture
def socket_directory() -> Iterator[Path]:
    """A directory with capital letters, short enough for a socket, that every user may write to."""
    directory = Path(tempfile.mkdtemp(prefix="callboard-Socket-"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)


def test_the_host_may_be_the_directory_of_a_socket(socket_directory: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    server = EmbeddedPostgres(tmp_path / "home", durable=False)
    server.start()
    server.stop()
    with (tmp_path / "home" / "cluster" / "postgresql.conf").open("a") as conf:
        conf.write(f"unix_socket_directories = '{socket_directory}'\n")
    with (tmp_path / "home" / "cluster" / "pg_hba.conf").open("a") as hba:
        hba.write("local all all scram-sha-256\n")
    with server:
        tcp = make_url(server.start())
        user = f"{tcp.username}:{tcp.password}"
        for url in (
            f"postgresql://{user}@{quote(str(socket_directory), safe='')}:{tcp.port}/{tcp.database}",
            f"postgresql://{user}@/{tcp.database}?host={socket_directory}&port={tcp.port}",
            f"postgresql+psycopg://{user}@/{tcp.database}?host={socket_directory}&port={tcp.port}",
        ):
            settings = settings_of(url)
            migrate(settings)
            with opened(settings) as database, database.begin() as connection:
                assert connection.execute(text("SELECT inet_server_addr()")).scalar_one() is None
            heard: list[int] = []
            listener = Listener(settings, lambda heard=heard: heard.append(1))  # type: ignore[misc]
            listener.start()
            try:
                until(lambda heard=heard: heard, what="the listener")  # type: ignore[misc]
            finally:
                listener.stop()
