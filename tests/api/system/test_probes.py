"""Whether the api says that it is ready only where requests would succeed."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from callboard.db.settings import Settings
from tests.api.conftest import Serve
from tests.support.databases import Databases, settings_of


@pytest.fixture
def settings(databases: Databases, postgres: str) -> Iterator[Settings]:
    """Settings for a database that the test may spoil."""
    with databases.migrated(postgres) as url:
        yield settings_of(url)


def run(settings: Settings, statement: str) -> None:
    with psycopg.connect(settings.require_database_url(), autocommit=True) as connection:
        names = {"database": sql.Identifier(connection.info.dbname)}
        connection.execute(sql.SQL(statement).format(**names))


def test_a_read_only_database_is_not_ready(serve: Serve, settings: Settings) -> None:
    run(settings, "ALTER DATABASE {database} SET default_transaction_read_only = on")
    answer = serve().client.get("/readyz")
    assert answer.status_code == 503
    assert "RESET default_transaction_read_only" in answer.json()["detail"]


def test_an_older_schema_is_not_ready(serve: Serve, settings: Settings) -> None:
    run(settings, "UPDATE callboard.alembic_version SET version_num = '0001'")
    answer = serve().client.get("/readyz")
    assert answer.status_code == 503
    assert "callboard migrate" in answer.json()["detail"]


def test_a_disk_that_is_full_is_not_ready(serve: Serve, settings: Settings) -> None:
    api = serve()
    assert api.client.get("/readyz").status_code == 200
    run(
        settings,
        "CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$; "
        "CREATE TRIGGER full_disk BEFORE INSERT ON callboard.jobs EXECUTE FUNCTION public.full()",
    )
    assert api.client.post("/v1/jobs", json={"type": "test.job", "payload": 1}).status_code == 503
    answer = api.client.get("/readyz")
    assert answer.status_code == 503
    assert "No space left on device" in answer.json()["detail"]


def test_missing_rights_are_not_ready(serve: Serve, settings: Settings) -> None:
    with psycopg.connect(settings.require_database_url(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS callboard_probe")
        connection.execute("CREATE ROLE callboard_probe LOGIN PASSWORD 'probe'")
        try:
            info = connection.info
            url = f"postgresql://callboard_probe:probe@{info.host}:{info.port}/{info.dbname}"
            answer = serve(database_url=settings_of(url).database_url).client.get("/readyz")
        finally:
            connection.execute("DROP OWNED BY callboard_probe; DROP ROLE callboard_probe")
    assert answer.status_code == 503
    assert "GRANT USAGE ON SCHEMA callboard TO callboard_probe" in answer.json()["detail"]
