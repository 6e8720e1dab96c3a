"""The group commit on PostgreSQL: one bad row, a database that goes away, many writers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from callboard.db.dispatching.queues import ensure_queues
from callboard.db.errors import Unavailable
from callboard.db.models import jobs
from callboard.db.schema.migrate import migrate
from callboard.db.sql.engine import Database
from callboard.db.sql.group_commit import Batcher
from callboard.db.transitions import NewJob, SubmissionRequest, SubmissionResult, submit
from callboard.embedded.postgres import EmbeddedPostgres
from tests.support.databases import settings_of
from tests.support.factory import QUEUE, Factory

WAIT = 60.0


def writer(database: Database, *, retry_for: float | None = 5.0) -> Batcher[NewJob, SubmissionResult]:
    def write(new: Sequence[NewJob], *, repeated: bool = False) -> Sequence[SubmissionResult]:
        with database.begin() as connection:
            return submit(connection, [SubmissionRequest([job]) for job in new], repeated=repeated)

    return Batcher("test", write, rewrite=partial(write, repeated=True), max_size=100, retry_for=retry_for)


@pytest.fixture
def batcher(database: Database) -> Iterator[Batcher[NewJob, SubmissionResult]]:
    with database.begin() as connection:
        ensure_queues(connection, [QUEUE])
    made = writer(database)
    yield made
    made.close()


def count(database: Database) -> int:
    with database.begin() as connection:
        return connection.execute(select(func.count()).select_from(jobs)).scalar_one()


def test_rows_that_postgresql_refuses_fail_alone(
    database: Database, factory: Factory, batcher: Batcher[NewJob, SubmissionResult]
) -> None:
    bad: dict[int, dict[str, object]] = {
        13: {"payload": b'"\\u0000"'},
        14: {"payload": b"no JSON"},
        77: {"priority": 10},
        78: {"owner": "\0"},
        140: {"traceparent": "\udce9"},
        141: {"payload": b"\xff"},
        199: {"max_retries": 2**31},
    }
    futures = [batcher.submit(factory.new_job(**bad.get(number, {}))) for number in range(200)]

    failed = {number for number, future in enumerate(futures) if future.exception(WAIT) is not None}

    assert failed == set(bad)
    assert isinstance(futures[13].exception(), DBAPIError)
    assert count(database) == 200 - len(bad)


def test_many_writers_are_answered_after_their_jobs_are_durable(
    database: Database, factory: Factory, batcher: Batcher[NewJob, SubmissionResult]
) -> None:
    def write(_: int) -> None:
        new = [factory.new_job() for _ in range(100)]
        futures: list[Future[SubmissionResult]] = [batcher.submit(job) for job in new]
        for job, future in zip(new, futures, strict=True):
            assert future.result(WAIT).job_ids == [job.id]

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(write, range(5)))
    assert count(database) == 500


def test_closing_makes_what_is_pending_durable(database: Database, factory: Factory) -> None:
    with database.begin() as connection:
        ensure_queues(connection, [QUEUE])
    made = writer(database)
    futures = [made.submit(factory.new_job()) for _ in range(300)]
    made.close()

    assert all(future.result(0) for future in futures)
    assert count(database) == 300


def test_connections_that_an_operator_ends_are_replaced(
    database: Database, factory: Factory, batcher: Batcher[NewJob, SubmissionResult]
) -> None:
    batcher.submit(factory.new_job()).result(WAIT)
    url = database._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'callboard test' AND datname = current_database()"
        )

    batcher.submit(factory.new_job()).result(WAIT)
    assert count(database) == 2


def test_a_database_that_went_away_and_came_back_loses_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    server = EmbeddedPostgres(tmp_path / "server", durable=False)
    settings = settings_of(server.start())
    database = Database(settings, role="test")
    factory = Factory(database)
    try:
        migrate(settings)
        factory.submit()
        impatient, patient = writer(database, retry_for=0.2), writer(database, retry_for=None)
        server.stop()

        with pytest.raises(Unavailable, match=r"does not answer|went away"):
            impatient.submit(factory.new_job()).result(WAIT)
        waiting = [patient.submit(factory.new_job()) for _ in range(10)]
        assert settings.require_database_url() == server.start(), "on the same port"

        assert len({job_id for future in waiting for job_id in future.result(WAIT).job_ids}) == 10
        impatient.close()
        patient.close()
        assert count(database) == 11
    finally:
        database.close()
        server.stop()
