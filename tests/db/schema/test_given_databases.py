"""Migrations of databases as they come: few rights, no writes, other letters, a later version's schema."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.engine import make_url

from callboard.db.errors import ConfigurationError, Unavailable
from callboard.db.models import metadata
from callboard.db.rules.states import Status
from callboard.db.schema.migrate import migrate, schema_is_current
from callboard.db.schema.suitability import DatabaseState, require_suitable
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.databases import Databases, settings_of
from tests.support.factory import Factory
from tests.support.threads import together

VIEWS = (
    "SELECT relname, pg_get_viewdef(pg_class.oid) FROM pg_class "
    "WHERE relnamespace = to_regnamespace('analytics') AND relkind = 'v' ORDER BY relname"
)


@pytest.fixture
def admin_url(databases: Databases, postgres: str) -> Iterator[str]:
    """The superuser's URL of a database without any table."""
    with databases.fresh(postgres) as url:
        yield url


def run(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Return the rows of the last statement; ``{database}`` and ``{user}`` stand for those of the connection."""
    rows: list[tuple[object, ...]] = []
    with psycopg.connect(url, autocommit=True) as connection:
        names = {"database": sql.Identifier(connection.info.dbname), "user": sql.Identifier(connection.info.user)}
        for statement in statements:
            cursor = connection.execute(sql.SQL(statement).format(**names))
            rows = [] if cursor.description is None else cursor.fetchall()
    return rows


@contextmanager
def user_without_rights(admin_url: str) -> Iterator[str]:
    """Yield the URL of a user who may only connect."""
    name, password = f"given_{secrets.token_hex(4)}", secrets.token_hex(8)
    run(
        admin_url, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'", "REVOKE CREATE ON DATABASE {database} FROM PUBLIC"
    )
    try:
        yield make_url(admin_url).set(username=name, password=password).render_as_string(hide_password=False)
    finally:
        run(admin_url, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


def name_of(url: str) -> str:
    return str(make_url(url).username)


def one_line(error: BaseException) -> str:
    assert "\n" not in str(error)
    return str(error)


def work(settings: Settings) -> None:
    database = Database(settings, role="test")
    try:
        Factory(database).in_state(Status.SUCCEEDED)
    finally:
        database.close()


def test_a_schema_that_somebody_made_for_the_user_will_do(admin_url: str) -> None:
    with user_without_rights(admin_url) as url:
        run(admin_url, f"CREATE SCHEMA callboard AUTHORIZATION {name_of(url)}")
        settings = settings_of(url)
        assert migrate(settings)
        assert migrate(settings)
        assert run(admin_url, VIEWS) == []
        work(settings)

        # The schema of analysts, too, is made as soon as it may be.
        run(admin_url, f"CREATE SCHEMA analytics AUTHORIZATION {name_of(url)}")
        assert migrate(settings)
        late = run(admin_url, VIEWS)
        assert run(url, "SELECT jobs FROM analytics.throughput") == []
    run(admin_url, "DROP SCHEMA IF EXISTS callboard, analytics CASCADE")
    migrate(settings_of(admin_url))
    assert late == run(admin_url, VIEWS)


def test_both_schemas_may_be_given(admin_url: str) -> None:
    with user_without_rights(admin_url) as url:
        for schema in ("callboard", "analytics"):
            run(admin_url, f"CREATE SCHEMA {schema} AUTHORIZATION {name_of(url)}")
        together(*[partial(migrate, settings_of(url))] * 3)
        assert len(run(admin_url, VIEWS)) > 10


def test_a_user_who_may_make_nothing_is_told_what_to_run(admin_url: str) -> None:
    with user_without_rights(admin_url) as url:
        with pytest.raises(ConfigurationError) as caught:
            migrate(settings_of(url))
        assert f'CREATE SCHEMA callboard AUTHORIZATION "{name_of(url)}"' in one_line(caught.value)


def test_a_read_only_database_is_named(admin_url: str) -> None:
    run(admin_url, "ALTER DATABASE {database} SET default_transaction_read_only = on")
    with pytest.raises(Unavailable) as caught:
        migrate(settings_of(admin_url))
    assert "RESET default_transaction_read_only" in one_line(caught.value)


def test_the_schema_of_a_later_version_is_left_alone(admin_url: str) -> None:
    settings = settings_of(admin_url)
    migrate(settings)
    run(admin_url, "UPDATE callboard.alembic_version SET version_num = '9999'", "DROP VIEW analytics.live_jobs")

    assert not migrate(settings)

    assert run(admin_url, "SELECT version_num FROM callboard.alembic_version") == [("9999",)]
    assert run(admin_url, "SELECT to_regclass('analytics.live_jobs')") == [(None,)]
    database = Database(settings, role="test")
    with database.begin() as connection:
        assert schema_is_current(connection)
    database.close()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_an_encoding_without_room_is_refused(admin_url: str, encoding: str) -> None:
    name = f"encoded_{secrets.token_hex(4)}"
    run(admin_url, f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    try:
        settings = settings_of(make_url(admin_url).set(database=name).render_as_string(hide_password=False))
        for check in (migrate, require_suitable):
            with pytest.raises(ConfigurationError) as caught:
                check(settings)
            assert f"{name} is encoded in {encoding}" in one_line(caught.value)
            assert "ENCODING 'UTF8'" in str(caught.value)
        assert run(settings.require_database_url(), "SELECT to_regnamespace('callboard')") == [(None,)]
    finally:
        run(admin_url, f"DROP DATABASE {name}")


def test_missing_rights_are_named(admin_url: str) -> None:
    migrate(settings_of(admin_url))
    with user_without_rights(admin_url) as url:
        user, settings = name_of(url), settings_of(url)
        with pytest.raises(ConfigurationError) as caught:
            require_suitable(settings)
        assert f"GRANT USAGE ON SCHEMA callboard TO {user}" in one_line(caught.value)

        run(admin_url, f"GRANT USAGE ON SCHEMA callboard TO {user}")
        run(admin_url, f"GRANT SELECT ON ALL TABLES IN SCHEMA callboard TO {user}")
        with pytest.raises(ConfigurationError) as caught:
            require_suitable(settings)
        assert f"may not read and write callboard.analysts and {len(metadata.tables) - 1} more" in str(caught.value)
        [grant] = str(caught.value).split("run: ")[1:]

        run(admin_url, grant)
        require_suitable(settings)


def test_what_a_pooler_does_not_keep_is_named(admin_url: str) -> None:
    run(admin_url, "ALTER DATABASE {database} SET extra_float_digits = 0")
    with pytest.raises(ConfigurationError) as caught:
        require_suitable(settings_of(admin_url, database_pgbouncer=True))
    assert "SET extra_float_digits = '1'" in one_line(caught.value)
    require_suitable(settings_of(admin_url))


def test_a_process_may_start_before_its_database() -> None:
    require_suitable(settings_of("postgresql://nobody@127.0.0.1:1/nothing"))


def test_a_database_without_tables_is_no_unsuitable_one(admin_url: str) -> None:
    require_suitable(settings_of(admin_url))
    database = Database(settings_of(admin_url), role="test")
    with database.begin() as connection:
        state = DatabaseState.of(connection)
        assert (state.unsuitable, state.unwritable, state.encoding) == (None, None, "UTF8")
        connection.execute(text("SET TRANSACTION READ ONLY"))
        assert "read-only" in str(DatabaseState.of(connection).unwritable)
    database.close()
