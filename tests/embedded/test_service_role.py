"""Callboard's processes log in as a role of few rights, in clusters of earlier versions, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql
from sqlalchemy import text

from callboard.db.history.analyst_query import ask
from callboard.db.rules.states import Status
from callboard.db.schema.analysts import add_analyst
from callboard.db.schema.migrate import migrate
from callboard.db.schema.partitions import ensure_partitions
from callboard.db.sql.engine import Database
from callboard.embedded.postgres import EmbeddedPostgres
from callboard.embedded.service_role import SERVICE_ROLE
from tests.services.postgres import system_binaries
from tests.support.databases import settings_of
from tests.support.factory import Factory

MakeServer = Callable[..., EmbeddedPostgres]

#: What is in the schemas, with its owner.
OWNERS = """
SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
WHERE relnamespace IN ('callboard'::regnamespace, 'analytics'::regnamespace)
UNION SELECT pg_get_userbyid(proowner) FROM pg_proc
WHERE pronamespace IN ('callboard'::regnamespace, 'analytics'::regnamespace)
UNION SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname IN ('callboard', 'analytics')
"""
REFUSED = (
    "CREATE ROLE somebody",
    "CREATE DATABASE other",
    "ALTER SYSTEM SET fsync = off",
    "SELECT pg_read_file('pg_hba.conf')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "CREATE SCHEMA mine",
    "SET ROLE callboard",
)


def owners(url: str) -> list[tuple[str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(sql.SQL(OWNERS)).fetchall()


def works(url: str, *, more_months: int = 1) -> None:
    """Do all that Callboard's processes do to the schema, and to jobs."""
    settings = settings_of(url)
    assert migrate(settings)
    database = Database(settings, role="test")
    try:
        factory = Factory(database)
        for status in (Status.QUEUED, Status.RUNNING, Status.SUCCEEDED):
            factory.in_state(status)
        with database.begin() as connection:
            assert ensure_partitions(connection, settings.partitions_ahead + more_months)
        with database.begin() as connection:
            connection.execute(text("ALTER TABLE callboard.job_history DETACH PARTITION callboard.job_history_default"))
            connection.rollback()
        with database.begin() as connection:
            assert len(list(ask(connection, "SELECT id FROM analytics.jobs", timeout=10))) > 1
    finally:
        database.close()


def test_it_may_do_its_work_and_nothing_else(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path)
    administrator = server.start()
    url = server.service_url()

    works(url)

    assert owners(administrator) == [(SERVICE_ROLE,)]
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in REFUSED:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(sql.SQL(statement))


@pytest.mark.parametrize("binaries", [None, system_binaries], ids=["wheel", "system"])
def test_a_cluster_of_an_earlier_version_goes_on(
    open_dir: Path, make_server: MakeServer, binaries: Callable[[], Path] | None
) -> None:
    server = make_server(open_dir, binaries=None if binaries is None else binaries())
    administrator = server.start()
    works(administrator)  # as the superuser, who owned everything
    assert owners(administrator) == [("callboard",)]

    url = server.service_url()

    assert owners(administrator) == [(SERVICE_ROLE,)]
    works(url, more_months=2)
    with psycopg.connect(administrator, autocommit=True) as connection:
        connection.execute("CREATE TABLE callboard.made_by_hand (id bigserial)")
    assert server.service_url() == url
    assert owners(administrator) == [(SERVICE_ROLE,)]


def test_the_administrator_makes_analysts(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path)
    administrator = Database(settings_of(server.start()), role="test")
    migrate(settings_of(server.service_url()))
    try:
        with administrator.begin() as connection:
            assert add_analyst(connection, "reader", owner="ada")
    finally:
        administrator.close()
