"""Commands on databases as they come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from callboard.db.settings import Settings
from tests.cli.conftest import Run
from tests.support.databases import Databases, settings_of


@pytest.fixture
def settings(databases: Databases, postgres: str) -> Iterator[Settings]:
    """Settings for a database that the test may spoil."""
    with databases.migrated(postgres) as url:
        yield settings_of(url)


def test_an_earlier_version_has_nothing_to_migrate(run: Run, settings: Settings) -> None:
    url = settings.require_database_url()
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE callboard.alembic_version SET version_num = '9999'")
    ran = run("migrate", CALLBOARD_DATABASE_URL=url)
    assert (ran.code, ran.out) == (0, "The schema is of a later version. Nothing was changed.\n")


def test_a_read_only_database_is_one_line(run: Run, settings: Settings) -> None:
    url = settings.require_database_url()
    with psycopg.connect(url) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = on".encode())
    ran = run("migrate", CALLBOARD_DATABASE_URL=url)
    assert ran.code == 2
    assert "RESET default_transaction_read_only" in ran.err
    assert "Traceback" not in ran.err


def test_commands_log_in_as_the_service_of_callboard_up(run: Run, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "database_url").write_text("postgresql://nobody@127.0.0.1:1/nothing\n")
    (tmp_path / "service_database_url").write_text(f"{settings.require_database_url()}\n")
    assert run("retention", "list", CALLBOARD_DATA_DIR=str(tmp_path)).code == 0
    assert run("analysts", "list", CALLBOARD_DATA_DIR=str(tmp_path)).code == 2

    (tmp_path / "database_url").write_text(f"{settings.require_database_url()}\n")
    assert run("analysts", "list", CALLBOARD_DATA_DIR=str(tmp_path)).code == 0
