"""Whoever may connect may notify: that costs a submission nothing, and the dispatcher little."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import literal, select
from sqlalchemy.exc import DBAPIError

from callboard.db.schema.migrate import migrate
from callboard.db.sql.engine import Database
from callboard.db.sql.notify import WAKE_DISPATCHER, notify_dispatcher
from callboard.db.sql.pipeline import PreparedStatement, execute_together
from callboard.embedded.postgres import EmbeddedPostgres
from tests.support.databases import settings_of


def test_a_full_queue_of_notifications_stops_no_submission(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path, durable=False):
        pass
    with (tmp_path / "cluster" / "postgresql.conf").open("a") as conf:
        conf.write("max_notify_queue_pages = 64\n")
    with EmbeddedPostgres(tmp_path, durable=False) as server:
        settings = settings_of(server.start())
        migrate(settings)
        database = Database(settings, role="test")
        url = settings.require_database_url()
        with psycopg.connect(url) as reader, psycopg.connect(url, autocommit=True) as flooder:
            reader.execute("LISTEN any_other")
            reader.commit()
            reader.execute("SELECT 1")  # it reads no notification before its transaction ends
            with suppress(errors.ProgramLimitExceeded):
                while True:
                    flooder.execute("SELECT pg_notify('any', repeat('x', 7000) || n) FROM generate_series(1, 20) AS n")
            try:
                notify_dispatcher(database)
                with database.autocommit() as connection:
                    for number in range(3):  # the connection works on
                        ask = PreparedStatement(select(literal(number).label("n")))
                        [rows] = execute_together(connection, (ask, {}), afterwards=[WAKE_DISPATCHER])
                        assert rows == [{"n": number}]
                wrong = PreparedStatement(select(literal(1) / literal(0)))
                with database.autocommit() as connection, pytest.raises(DBAPIError, match="division"):
                    execute_together(connection, (wrong, {}), afterwards=[WAKE_DISPATCHER])
            finally:
                reader.rollback()
                database.close()
