"""Migrations: from nothing, again, from many processes at once; and that the tables are what ``db.models`` says."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from callboard.db.errors import Unavailable
from callboard.db.models import PARTITIONED, SCHEMA, metadata
from callboard.db.schema.migrate import migrate, migrating, migrations_path
from callboard.db.settings import Settings
from callboard.db.sql.engine import sqlalchemy_url
from tests.support.databases import Databases, settings_of
from tests.support.threads import together
from tests.support.until import until

ROOT = Path(__file__).parents[3]


@pytest.fixture
def fresh(databases: Databases, postgres: str) -> Iterator[Settings]:
    """Settings for a database without any table."""
    with databases.fresh(postgres) as url:
        yield settings_of(url)


def head() -> str | None:
    return ScriptDirectory(str(migrations_path())).get_current_head()


def rows(settings: Settings, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(settings.require_database_url()) as connection:
        return connection.execute(statement).fetchall()


def contents(settings: Settings) -> list[tuple[object, ...]]:
    """Return each relation of the schema with its file: a relation that is made again has another file."""
    return rows(
        settings,
        "SELECT relname, relfilenode FROM pg_class WHERE relnamespace = 'callboard'::regnamespace ORDER BY relname",
    )


def test_migrating_makes_the_tables_and_the_months_ahead(fresh: Settings) -> None:
    migrate(fresh)

    made = {name for name, _ in contents(fresh)}
    assert {table.name for table in metadata.sorted_tables} <= made
    months = rows(
        fresh,
        "SELECT to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + n * interval '1 month', 'YYYY_MM') "
        "FROM generate_series(0, 3) AS n",
    )
    assert len(months) == fresh.partitions_ahead + 1
    for table in PARTITIONED:
        assert {f"{table.name}_{month}" for (month,) in months} | {f"{table.name}_default"} <= made


def test_migrating_again_changes_nothing(fresh: Settings) -> None:
    migrate(fresh)
    before = contents(fresh)
    migrate(fresh)

    assert contents(fresh) == before


def test_many_may_migrate_at_once(fresh: Settings) -> None:
    together(*[partial(migrate, fresh)] * 8)

    assert rows(fresh, "SELECT version_num FROM callboard.alembic_version") == [(head(),)]


def test_many_processes_may_migrate_at_once(fresh: Settings) -> None:
    code = (
        "from callboard.db.schema.migrate import migrate; from callboard.db.settings import load_settings; "
        "migrate(load_settings())"
    )
    environment = {"CALLBOARD_DATABASE_URL": fresh.require_database_url(), "PATH": ""}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    endings = [(process.communicate(timeout=100)[1], process.returncode) for process in processes]

    assert endings == [("", 0)] * 4


def test_a_process_that_waits_for_a_migration_has_no_snapshot(fresh: Settings) -> None:
    # CREATE INDEX CONCURRENTLY, in some later migration, waits for all older snapshots.
    migrate(fresh)
    url = fresh.require_database_url()
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as other:
        holder.execute("SELECT FROM callboard.locks WHERE name = 'migration' FOR UPDATE")
        waiting = threading.Thread(target=migrate, args=[fresh])
        waiting.start()
        until(partial(rows, fresh, "SELECT FROM pg_stat_activity WHERE application_name = 'callboard migrate'"))
        other.execute("CREATE TABLE public.big (id int)")
        other.execute("SET statement_timeout = '20s'")
        other.execute("CREATE INDEX CONCURRENTLY ON public.big (id)")
        assert waiting.is_alive()
    waiting.join(60)

    assert not waiting.is_alive()


def test_the_tables_are_what_the_models_say(fresh: Settings) -> None:
    migrate(fresh)
    parts = tuple(f"{table.name}_" for table in PARTITIONED)

    def ours(name: str | None, kind: str, _: object) -> bool:
        """Leave out partitions, which are their parent's business, and other schemas."""
        if kind == "schema":
            return name == SCHEMA
        return kind != "table" or not str(name).startswith(parts)

    options = {
        "include_schemas": True,
        "include_name": ours,
        "version_table_schema": SCHEMA,
        "compare_server_default": True,
    }
    # Whatever the user's name is: alembic leaves out the schema's name where the search path begins with it.
    engine = create_engine(
        sqlalchemy_url(fresh.require_database_url()), connect_args={"options": "-c search_path=public"}
    )
    try:
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
    finally:
        engine.dispose()


def test_the_checks_are_what_the_models_say(fresh: Settings) -> None:
    """Alembic does not compare them, so the tables are made from both and PostgreSQL's own words are compared."""
    migrate(fresh)
    checks = (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_class t "
        "ON t.oid = conrelid WHERE connamespace = 'callboard'::regnamespace AND contype IN ('c', 'n', 'p') "
        "AND NOT relispartition AND relname <> 'alembic_version' ORDER BY 1, 2"
    )
    indexes = (
        "SELECT tablename, indexname, regexp_replace(indexdef, ' WITH .*(?= WHERE|$)', '') FROM pg_indexes "
        "WHERE schemaname = 'callboard' AND tablename !~ '_([0-9_]{7}|default|version)$' ORDER BY 1, 2"
    )
    migrated = rows(fresh, checks), rows(fresh, indexes)
    # Generated columns need theirs; what a function reads need not be there to make it.
    functions = rows(
        fresh, "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'callboard'::regnamespace"
    )
    with psycopg.connect(fresh.require_database_url()) as connection:
        connection.execute("DROP SCHEMA callboard CASCADE; CREATE SCHEMA callboard; SET check_function_bodies = off")
        for (function,) in functions:
            connection.execute(str(function))
    engine = create_engine(sqlalchemy_url(fresh.require_database_url()))
    metadata.create_all(engine)
    engine.dispose()

    assert (rows(fresh, checks), rows(fresh, indexes)) == migrated


FILLED = """
CREATE TABLE callboard.job_history_2025_03 PARTITION OF callboard.job_history
    FOR VALUES FROM ('2025-03-01 00:00+00') TO ('2025-04-01 00:00+00');
INSERT INTO callboard.job_history (
    id, created_at, type, queue, status, priority, owner, max_retries, time_limit, finished_at
)
SELECT gen_random_uuid(), at, 'a', 'q', 'cancelled', 5, 'o', 0, 1, at FROM CAST('2025-03-02' AS timestamptz) AS at;
INSERT INTO callboard.history_rollup (
    grain, dimension, starts_at, value, jobs, succeeded, failed, cancelled, expired, attempts, waited, ran,
    wait_histogram
) SELECT 'hour', 'total', '2025-03-02', '', 2, 0, 0, 2, 0, 0, 2, 0, sum(callboard.histogram_of(wait))
FROM (VALUES (interval '1 s'), (interval '10 s')) AS waits (wait);
"""


def test_a_filled_database_is_brought_up_to_date(fresh: Settings) -> None:
    upgrade(fresh, "0008")
    with psycopg.connect(fresh.require_database_url()) as connection:
        connection.execute(FILLED)
    migrate(fresh)

    ((waits, runs),) = rows(fresh, "SELECT wait_quantiles, run_quantiles FROM callboard.history_rollup")
    assert waits == pytest.approx([1, 10, 10], rel=0.025)
    assert runs is None
    parts = rows(
        fresh,
        "SELECT relname, indisvalid FROM pg_partition_tree('callboard.job_history_queue_idx') AS part "
        "JOIN pg_index ON indexrelid = relid JOIN pg_class ON pg_class.oid = indrelid WHERE isleaf",
    )
    assert ("job_history_2025_03", True) in parts
    assert all(valid for _, valid in parts)


def test_checkpoints_survive_the_new_name_of_their_table(fresh: Settings) -> None:
    upgrade(fresh, "0010")
    with psycopg.connect(fresh.require_database_url()) as connection:
        connection.execute(
            "INSERT INTO callboard.job_memos (job_id, created_at, kind, key, attempt, data) "
            "VALUES (gen_random_uuid(), now(), 'checkpoint', '', 1, '7')"
        )
    migrate(fresh)
    assert rows(fresh, "SELECT data FROM callboard.job_checkpoints") == [(7,)]
    assert named_after(fresh, "job_memos") == []


def named_after(settings: Settings, table: str) -> list[tuple[object, ...]]:
    """Return the constraints and relations whose names begin with that of ``table``."""
    return rows(
        settings,
        f"SELECT conname FROM pg_constraint WHERE starts_with(conname, '{table}') "
        f"UNION SELECT relname FROM pg_class WHERE starts_with(relname, '{table}')",
    )


def upgrade(settings: Settings, revision: str) -> None:
    engine = create_engine(sqlalchemy_url(settings.require_database_url()))
    config = Config()
    config.set_main_option("script_location", str(migrations_path()))
    try:
        with migrating(engine) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()


def test_a_table_in_long_use_does_not_queue_others_behind_a_migration(fresh: Settings) -> None:
    migrate(fresh)
    month = rows(fresh, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')")[0][0]
    with psycopg.connect(fresh.require_database_url()) as analyst:
        analyst.execute(f"DROP TABLE callboard.job_history_{month}")
        analyst.commit()
        analyst.execute("SELECT count(*) FROM callboard.job_history")
        with pytest.raises(Unavailable, match="lock timeout"):
            migrate(fresh)
    migrate(fresh)


def test_a_database_that_cannot_be_reached_is_unavailable() -> None:
    secret = "s3cr3t"

    with pytest.raises(Unavailable, match="cannot be migrated") as caught:
        migrate(settings_of(f"postgresql://user:{secret}@127.0.0.1:1/name"))
    assert secret not in str(caught.value)
