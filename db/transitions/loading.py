"""Bulk import of finished jobs: load and load_missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection, column, select, table
from sqlalchemy.dialects.postgresql import insert

from callboard.db.models import SCHEMA, job_attempts, job_history, jobs

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
_arriving = table("arriving", *(column(name) for name in HISTORY_COLUMNS))
_store_missing = (
    insert(job_history)
    .from_select(
        list(HISTORY_COLUMNS),
        select(*_arriving.c).where(~select(jobs.c.id).where(jobs.c.id == _arriving.c.id).exists()),
    )
    .on_conflict_do_nothing()
)


def load(connection: Connection, history: bytes, attempts: bytes) -> None:
    """Store finished jobs and their attempts, all with new ids, from PostgreSQL's text format for COPY.

    From no job; to succeeded, failed, cancelled or expired. An id that exists already is an error. The rows should come
    in the order of ``finished_at``: its block range index needs that.

    Args:
        connection: in a transaction.
        history: rows of ``job_history`` with :data:`HISTORY_COLUMNS`.
        attempts: rows of ``job_attempts`` with :data:`ATTEMPT_COLUMNS`.
    """
    driver = cast("psycopg.Connection", connection.connection.driver_connection)
    _copy(driver, sql.Identifier(SCHEMA, job_history.name), HISTORY_COLUMNS, history)
    _copy(driver, sql.Identifier(SCHEMA, job_attempts.name), ATTEMPT_COLUMNS, attempts)


def load_missing(connection: Connection, history: Iterable[Mapping[str, Any]]) -> int:
    """Store those finished jobs whose ids no live or finished job has; return how many were stored.

    From no job; to succeeded, failed, cancelled or expired. Rows have ``HISTORY_COLUMNS`` by name, and the order of
    :func:`load`. They get no attempts.
    """
    driver = cast("psycopg.Connection", connection.connection.driver_connection)
    columns = sql.SQL(", ").join(map(sql.Identifier, HISTORY_COLUMNS))
    with driver.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE arriving (LIKE callboard.job_history INCLUDING DEFAULTS) ON COMMIT DROP")
        with cursor.copy(_COPY.format(sql.Identifier("arriving"), columns)) as copying:
            for row in history:
                copying.write_row([row[column] for column in HISTORY_COLUMNS])
    return connection.execute(_store_missing, execution_options={"preserve_rowcount": True}).rowcount


def _copy(driver: psycopg.Connection, table: sql.Identifier, columns: Sequence[str], rows: bytes) -> None:
    with (
        driver.cursor() as cursor,
        cursor.copy(_COPY.format(table, sql.SQL(", ").join(map(sql.Identifier, columns)))) as copying,
    ):
        copying.write(rows)
