"""Reports are written, the last one always: also when the database is away for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import Connection, select

from callboard.actors.execution.progress import Progress
from callboard.actors.execution.progress_writer import ProgressWriter
from callboard.db.attempt.progress import report_progress
from callboard.db.models import job_progress, jobs
from callboard.db.rules.attempts import AttemptId, ClaimedJob
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from tests.support.factory import Factory
from tests.support.refusal import refusing
from tests.support.until import until


@pytest.fixture
def running(factory: Factory) -> ClaimedJob:
    return factory.claim(factory.submit())


@pytest.fixture
def writer(settings: Settings) -> Iterator[ProgressWriter]:
    """Waits for the database for a short time, and then counts it as away."""
    database = Database(settings.model_copy(update={"statement_timeout": 0.2}), role="test")
    writer = ProgressWriter(database, interval=0.05)
    yield writer
    writer.stop()
    database.close()


@contextmanager
def away(database: Database, job: ClaimedJob, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Keep a job's row from being written, until a write of the writer has failed."""
    caplog.clear()
    with database.begin() as connection:
        connection.execute(select(jobs.c.id).where(jobs.c.id == job.id).with_for_update())
        yield
        until(lambda: "duty_postponed" in caplog.messages)


def stored(connection: Connection) -> list[tuple[int, float]]:
    columns = select(job_progress.c.seq, job_progress.c.current)
    return [tuple(row) for row in connection.execute(columns.order_by(job_progress.c.seq)).all()]


def test_a_report_waits_for_the_database(
    database: Database, running: ClaimedJob, writer: ProgressWriter, caplog: pytest.LogCaptureFixture
) -> None:
    progress = Progress(running.attempt_id)
    writer.add(progress)
    writer.start()
    with away(database, running, caplog):
        progress.report(3, 4, None, None)

    def written() -> list[tuple[int, float]]:
        with database.begin() as connection:
            return stored(connection)

    assert until(written) == [(1, 3.0)]
    until(lambda: progress.unwritten() is None)
    assert writer.last_report(progress) is None


def test_the_last_report_goes_with_the_end(
    database: Database, running: ClaimedJob, writer: ProgressWriter, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker writes it with the outcome, for which it waits as long as it takes."""
    progress = Progress(running.attempt_id)
    writer.add(progress)
    writer.start()
    with away(database, running, caplog):
        progress.report(3, 4, None, None)
    with away(database, running, caplog):
        progress.report(4, 4, None, None)
        until(lambda: "duty_postponed" in caplog.messages)
        last = writer.last_report(progress)

    assert last is not None
    assert last.current == 4
    with database.begin() as connection:
        report_progress(connection, [last])
        assert stored(connection)[-1] == (last.seq, 4.0)


def test_a_report_keeps_its_number_until_it_is_written() -> None:
    progress = Progress(AttemptId(uuid4(), 1))
    assert progress.unwritten() is None
    progress.report(1, 2, None, None)
    first = progress.unwritten()
    assert first is not None
    assert progress.unwritten() is first
    progress.report(2, 2, None, None)
    progress.written(first)
    second = progress.unwritten()
    assert second is not None
    assert (first.seq, second.seq, second.current) == (1, 2, 2)
    progress.written(second)
    assert progress.unwritten() is None


def test_a_report_that_is_refused_keeps_no_other_one_back(
    database: Database, factory: Factory, writer: ProgressWriter, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as one with text that a database of another encoding does not have."""
    reports = [Progress(factory.claim(factory.submit()).attempt_id) for _ in range(3)]
    for number, progress in enumerate(reports):
        writer.add(progress)
        progress.report(number, 3, None, "snow" if number == 1 else None)
    with refusing(database, "job_progress", "message", "snow"):
        writer.start()
        until(lambda: all(progress.unwritten() is None for progress in reports))

    with database.begin() as connection:
        assert [current for _, current in stored(connection)] == [0, 2]
    assert caplog.messages.count("progress_refused") == 1
