"""Finished jobs that come from elsewhere, in bulk: load and copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection

from db.models import SCHEMA, job_attempts, job_history

#: The columns of a loaded history row, in the order of its values.
HISTORY_COLUMNS: Final = (
    "id", "created_at", "type", "queue", "status", "priority", "owner", "payload", "tags", "attempt", "retries",
    "max_retries", "time_limit", "revision", "scheduled_at", "started_at", "attempt_started_at", "worker_id", "worker",
    "error", "finished_at", "result",
)  # fmt: skip

#: The columns of a loaded attempt, in the order of its values.
ATTEMPT_COLUMNS: Final = (
    "job_id", "created_at", "attempt", "outcome", "reason", "worker_id", "worker", "started_at", "finished_at",
    "error_type", "error_message",
)  # fmt: skip

_COPY = sql.SQL("COPY {} ({}) FROM STDIN")
_STAGE = sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DROP")
_TAKE_OVER = sql.SQL("INSERT INTO {} ({columns}) SELECT {columns} FROM {} ON CONFLICT DO NOTHING")


def copy(connection: Connection, history: bytes, attempts: bytes) -> None:
    """Store finished jobs and their attempts whose ids are new, in PostgreSQL's text format for COPY.

    From nothing; to succeeded, failed, cancelled or expired. An id that is there already is an error. The order of rows
    should be that of ``finished_at``, as the index on it expects.
    """
    driver = _driver(connection)
    _copy(driver, sql.Identifier(SCHEMA, job_history.name), HISTORY_COLUMNS, history)
    _copy(driver, sql.Identifier(SCHEMA, job_attempts.name), ATTEMPT_COLUMNS, attempts)


def load(connection: Connection, history: Sequence[tuple[object, ...]], attempts: Sequence[tuple[object, ...]]) -> int:
    """Store finished jobs and their attempts, without those that are there already; return how many jobs were new.

    From nothing; to succeeded, failed, cancelled or expired. Values are those of the columns above.
    """
    driver = _driver(connection)
    new = _load(driver, job_history.name, HISTORY_COLUMNS, history)
    _load(driver, job_attempts.name, ATTEMPT_COLUMNS, attempts)
    return new


def _load(driver: psycopg.Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> int:
    stage, target = sql.Identifier(f"loaded_{table}"), sql.Identifier(SCHEMA, table)
    driver.execute(_STAGE.format(stage, target))
    with driver.cursor() as cursor, cursor.copy(_COPY.format(stage, _names(columns))) as copying:
        for row in rows:
            copying.write_row(row)
    return driver.execute(_TAKE_OVER.format(target, stage, columns=_names(columns))).rowcount


def _copy(driver: psycopg.Connection, table: sql.Identifier, columns: Sequence[str], rows: bytes) -> None:
    with driver.cursor() as cursor, cursor.copy(_COPY.format(table, _names(columns))) as copying:
        copying.write(rows)


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _driver(connection: Connection) -> psycopg.Connection:
    return cast("psycopg.Connection", connection.connection.driver_connection)
