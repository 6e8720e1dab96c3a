"""Month partitions: made ahead, repaired when they were late, and never in the way of a job that finishes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import delete, text

from callboard.db.attempt.progress import ProgressReport, report_progress
from callboard.db.errors import Unavailable
from callboard.db.models import PARTITIONED, job_attempts
from callboard.db.reads.jobs import get_jobs, list_attempts
from callboard.db.rules.attempts import AttemptId
from callboard.db.rules.ids import new_id
from callboard.db.rules.states import Status
from callboard.db.schema.migrate import migrate
from callboard.db.schema.partitions import ensure_partitions
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.databases import Databases, settings_of
from tests.support.factory import OUTCOMES, Factory
from tests.support.threads import together
from tests.support.until import until

AHEAD = 3


@pytest.fixture
def settings(databases: Databases, postgres: str) -> Iterator[Settings]:
    """A database of its own: partitions are dropped here."""
    with databases.fresh(postgres) as url:
        settings = settings_of(url)
        migrate(settings)
        yield settings


def ensure(database: Database, ahead: int = AHEAD) -> list[str]:
    with database.begin() as connection:
        return ensure_partitions(connection, ahead)


def drop_partitions(database: Database) -> None:
    with database.begin() as connection:
        for name in connection.execute(
            text(
                "SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhparent "
                "WHERE relkind = 'p' AND inhrelid::regclass::text !~ '_default$'"
            )
        ).scalars():
            connection.execute(text(f"DROP TABLE {name}"))


def partition_of(database: Database, job_id: UUID) -> dict[str, str]:
    """The partition in which each table has the job's row."""
    partitions = {}
    with database.begin() as connection:
        for name, key in {"job_history": "id", "job_attempts": "job_id", "job_progress": "job_id"}.items():
            statement = (
                f"SELECT relname FROM callboard.{name} t JOIN pg_class ON pg_class.oid = t.tableoid WHERE {key} = :id"
            )
            partitions[name] = connection.execute(text(statement), {"id": job_id}).scalar_one()
    return partitions


def finished_job(database: Database, factory: Factory, at: datetime | None = None) -> UUID:
    job_id = new_id() if at is None else UUID(int=int(at.timestamp() * 1000) << 80 | new_id().int & ((1 << 80) - 1))
    claimed = factory.claim(factory.submit(id=job_id))
    with database.begin() as connection:
        report_progress(connection, [ProgressReport(AttemptId(job_id, 1), 1, 1.0, None, None, None)])
    factory.end(claimed, OUTCOMES[Status.SUCCEEDED])
    return job_id


def test_a_job_goes_to_the_partition_of_the_month_it_was_made_in(database: Database, factory: Factory) -> None:
    job_id = finished_job(database, factory)

    month = datetime.now(UTC).strftime("%Y_%m")
    assert partition_of(database, job_id) == {table.name: f"{table.name}_{month}" for table in PARTITIONED}


def test_the_months_made_ahead_meet_without_a_gap(database: Database, factory: Factory) -> None:
    start = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(AHEAD + 1):
        following = (start + timedelta(days=31)).replace(day=1)
        for moment in (start, following - timedelta(milliseconds=1)):
            job_id = finished_job(database, factory, at=moment)
            assert set(partition_of(database, job_id).values()) == {f"{t.name}_{start:%Y_%m}" for t in PARTITIONED}
        start = following


def test_nothing_is_made_twice(database: Database) -> None:
    assert ensure(database) == []
    assert len(ensure(database, AHEAD + 2)) == 2 * len(PARTITIONED)
    assert ensure(database, AHEAD + 2) == []


def test_a_missing_partition_stops_no_job_and_is_repaired(database: Database, factory: Factory) -> None:
    drop_partitions(database)
    job_ids = [finished_job(database, factory) for _ in range(3)]
    assert partition_of(database, job_ids[0]) == {t.name: f"{t.name}_default" for t in PARTITIONED}

    assert len(ensure(database)) == len(PARTITIONED) * (AHEAD + 1)

    month = datetime.now(UTC).strftime("%Y_%m")
    for job_id in job_ids:
        assert partition_of(database, job_id) == {t.name: f"{t.name}_{month}" for t in PARTITIONED}
        with database.begin() as connection:
            assert get_jobs(connection, [job_id])[job_id]["status"] == Status.SUCCEEDED
            assert len(list_attempts(connection, job_id)) == 1


def test_rows_of_months_without_a_partition_stay_where_they_are(database: Database, factory: Factory) -> None:
    old = finished_job(database, factory, at=datetime.now(UTC) - timedelta(days=400))
    ensure(database, AHEAD + 1)

    assert partition_of(database, old) == {table.name: f"{table.name}_default" for table in PARTITIONED}
    with database.begin() as connection:
        assert get_jobs(connection, [old])


def test_many_may_make_them_at_once(database: Database) -> None:
    drop_partitions(database)

    made = together(*[partial(ensure, database)] * 4)

    assert sorted(len(names) for names in made) == [0, 0, 0, len(PARTITIONED) * (AHEAD + 1)]


def test_a_session_that_waited_for_another_sees_its_partitions(database: Database) -> None:
    # The second session reads that the name is missing, and its catalog cache keeps that, as the changes are few.
    with ThreadPoolExecutor(1) as pool:
        with database.begin() as connection:
            assert len(ensure_partitions(connection, AHEAD + 1)) == len(PARTITIONED)
            second = pool.submit(ensure, database, AHEAD + 1)
            until(lambda: second.done() or waits_for_partitions(database))
            assert not second.done()

        assert second.result(30) == []


def waits_for_partitions(database: Database) -> bool:
    with database.begin() as connection:
        statement = text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return bool(connection.execute(statement).scalar_one())


def test_jobs_finish_while_partitions_are_made(database: Database, factory: Factory) -> None:
    claimed = [factory.claim(factory.submit()) for _ in range(60)]

    def finish_all() -> None:
        for job in claimed:
            factory.end(job, OUTCOMES[Status.SUCCEEDED])

    def make_months() -> None:
        for more in range(1, 6):
            ensure(database, AHEAD + more)

    together(finish_all, make_months)

    with database.begin() as connection:
        jobs = get_jobs(connection, [job.id for job in claimed])
    assert {row["status"] for row in jobs.values()} == {Status.SUCCEEDED}
    assert len(jobs) == len(claimed)


def test_a_writer_that_has_not_committed_is_not_in_the_way(database: Database, factory: Factory) -> None:
    finished_job(database, factory)
    with database.begin() as writer:
        writer.execute(delete(job_attempts).where(job_attempts.c.created_at == datetime.now(UTC)))
        factory.submit()
        writer.execute(text("SELECT FROM callboard.jobs FOR UPDATE"))

        assert len(ensure(database, AHEAD + 1)) == len(PARTITIONED)


def test_a_report_that_runs_long_stops_it_for_now(database: Database, factory: Factory) -> None:
    with database.begin() as analyst:
        analyst.execute(text("SELECT count(*) FROM callboard.job_history"))
        with pytest.raises(Unavailable, match="lock timeout"):
            ensure(database, AHEAD + 1)
        finished_job(database, factory)

    assert len(ensure(database, AHEAD + 1)) == len(PARTITIONED)
