"""Faults of PostgreSQL."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, suppress

import psycopg

from tests.faults.scenario import Stage, scenario

_AWAY = 2.0
_BACK = 5.0


@scenario("database", "restarted in good order", resource="database", within=_BACK)
def restart(stage: Stage) -> None:
    postgres = stage.deployment.postgres
    stage.deployment.on_keeper(postgres.stop)
    stage.pause(_AWAY)
    stage.deployment.on_keeper(postgres.start)


@scenario("database", "kill -9, started again", resource="database", within=_BACK, quick=True)
def kill(stage: Stage) -> None:
    postgres = stage.deployment.postgres
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    stage.pause(_AWAY)
    stage.deployment.on_keeper(postgres.ensure_running)


@scenario("database", "a backend killed with -9, so that all restart", resource="database", within=_BACK)
def crash_backend(stage: Stage) -> None:
    """PostgreSQL ends all connections and recovers by itself."""
    [row] = stage.deployment.rows(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'callboard worker%%' LIMIT 1"
    )
    os.kill(row["pid"], signal.SIGKILL)
    while True:
        with suppress(psycopg.OperationalError):
            stage.deployment.rows("SELECT 1")
            return
        time.sleep(0.1)


@scenario("database", "all connections terminated, three times", resource="database", within=_BACK)
def terminate_connections(stage: Stage) -> None:
    for _ in range(3):
        stage.deployment.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'callboard %%'"
        )
        stage.pause(1)


@scenario("database", "read-only", resource="database", within=_BACK, quick=True)
def read_only(stage: Stage) -> None:
    """As a primary that has become a standby."""
    stage.deployment.rows("ALTER SYSTEM SET default_transaction_read_only = on")
    stage.deployment.rows("SELECT pg_reload_conf()")
    stage.pause(3)
    stage.deployment.rows("ALTER SYSTEM RESET default_transaction_read_only")
    stage.deployment.rows("SELECT pg_reload_conf()")


@scenario("database", "out of connections", resource="database", within=_BACK)
def out_of_connections(stage: Stage) -> None:
    """Others hold them all, and Callboard's own are terminated."""
    url = stage.deployment.database_url
    with ExitStack() as hogs, psycopg.connect(url, autocommit=True) as connection:
        until = time.monotonic() + 3
        while time.monotonic() < until:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'callboard %'"
            )
            with suppress(psycopg.OperationalError):
                while True:
                    hogs.enter_context(psycopg.connect(url, autocommit=True))
            stage.pause(0.1)


@scenario("database", "the table of live jobs locked, as by a careless migration", resource="database", within=_BACK)
def locked_tables(stage: Stage) -> None:
    with psycopg.connect(stage.deployment.database_url) as connection:
        connection.execute("LOCK TABLE callboard.jobs")
        stage.pause(3)
