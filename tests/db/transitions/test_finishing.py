"""What is written when an attempt ends: by its worker, after a cancel, or again after a lost response."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from callboard.db.attempt.progress import ProgressReport, report_progress
from callboard.db.models import job_progress
from callboard.db.reads.jobs import get_jobs, list_attempts
from callboard.db.rules.attempts import AttemptId
from callboard.db.rules.outcome import JobError, Outcome
from callboard.db.rules.states import TERMINAL, AttemptOutcome, Reason, Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import ClaimedJob, Ending, cancel, record, reopen, submit
from tests.support.factory import ERROR, OUTCOMES, Factory
from tests.support.records import read_records


def end(database: Database, job: ClaimedJob, outcome: Outcome) -> bool:
    with database.begin() as connection:
        return bool(record(connection, [Ending(job.attempt_id, outcome)]))


@pytest.fixture
def running(factory: Factory) -> ClaimedJob:
    return factory.claim(factory.submit())


def test_a_success_keeps_its_result(database: Database, running: ClaimedJob) -> None:
    assert end(database, running, Outcome.succeed('{"größe": [1, 2.5, null]}'.encode()))

    rows = read_records(database)[running.id]
    assert rows.row["result"] == {"größe": [1, 2.5, None]}
    assert rows.row["error"] is None
    assert rows.row["finished_at"] >= rows.row["started_at"] >= rows.row["created_at"].replace(microsecond=0)
    (attempt,) = rows.attempts
    assert (attempt["outcome"], attempt["worker"]) == (AttemptOutcome.SUCCEEDED, "host-1")
    assert (attempt["started_at"], attempt["finished_at"]) == (running.started_at, rows.row["finished_at"])


@pytest.mark.parametrize(("total", "reported"), [(4.0, 25.0), (None, None)])
@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED])
def test_a_success_is_all_of_the_work(
    database: Database, running: ClaimedJob, status: Status, total: float | None, reported: float | None
) -> None:
    with database.begin() as connection:
        report_progress(connection, [ProgressReport(running.attempt_id, 1, 1.0, total, "step", "message")])
    end(database, running, OUTCOMES[status])

    progress = read_records(database)[running.id].row["progress"]
    assert progress["percent"] == (100 if status is Status.SUCCEEDED else reported)
    assert {name: progress[name] for name in ("current", "total", "step", "message")} == {
        "current": 1, "total": total, "step": "step", "message": "message",
    }  # fmt: skip


def test_a_success_without_a_report_has_no_progress(database: Database, running: ClaimedJob) -> None:
    end(database, running, OUTCOMES[Status.SUCCEEDED])
    assert read_records(database)[running.id].row["progress"] is None


def test_only_the_attempt_keeps_the_traceback(database: Database, running: ClaimedJob) -> None:
    end(database, running, Outcome.fail(ERROR))

    rows = read_records(database)[running.id]
    assert rows.row["error"] == {
        "reason": "exception", "type": "ValueError", "message": "no such thing", "attempt": 1
    }  # fmt: skip
    (attempt,) = rows.attempts
    assert (attempt["reason"], attempt["error_type"], attempt["error_message"], attempt["traceback"]) == (
        "exception",
        "ValueError",
        "no such thing",
        "Traceback …",
    )


@pytest.mark.parametrize("status", [Status.FAILED, Status.RETRYING])
def test_any_message_can_be_stored(database: Database, running: ClaimedJob, status: Status) -> None:
    error = JobError(Reason.EXCEPTION, "Odd\0Error", "caf\udce9\0", 1, traceback="\ud800\0")

    assert end(database, running, replace(OUTCOMES[status], error=error))

    rows = read_records(database)[running.id]
    assert rows.row["error"]["message"] == rows.attempts[0]["error_message"] == "caf\ufffd\ufffd"


def test_a_message_that_cannot_be_utf8_does_not_stop_progress(database: Database, running: ClaimedJob) -> None:
    with database.begin() as connection:
        report_progress(connection, [ProgressReport(AttemptId(running.id, 1), 1, 1.0, 4.0, "s\udce9", "m\0")])
        shown = get_jobs(connection, [running.id])[running.id]["progress"]

    assert '"step": "s\ufffd"' in shown
    assert '"percent": 25.0' in shown


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=lambda outcome: outcome.status)
def test_an_end_is_written_once(database: Database, running: ClaimedJob, outcome: Outcome) -> None:
    assert end(database, running, outcome)
    before = read_records(database)[running.id]

    for late in OUTCOMES.values():
        assert not end(database, running, late)
    assert read_records(database)[running.id] == before


def test_the_same_end_twice_in_one_batch(database: Database, factory: Factory) -> None:
    jobs = [factory.claim(factory.submit()) for _ in range(3)]
    endings = [Ending(AttemptId(job.id, 1), OUTCOMES[Status.SUCCEEDED]) for job in jobs]

    with database.begin() as connection:
        assert record(connection, [*endings, *endings]) == {(job.id, 1) for job in jobs}


@pytest.mark.parametrize("status", [Status.RETRYING, Status.QUEUED])
def test_a_job_that_was_cancelled_meanwhile_waits_for_no_other_attempt(
    database: Database, running: ClaimedJob, status: Status
) -> None:
    with database.begin() as connection:
        assert cancel(connection, running.id)

    assert end(database, running, OUTCOMES[status])

    rows = read_records(database)[running.id]
    assert rows.row["status"] == Status.CANCELLED
    assert rows.row["error"] is not None
    assert [attempt["outcome"] for attempt in rows.attempts] == [OUTCOMES[status].attempt]


def test_a_cancelled_job_may_still_succeed(database: Database, running: ClaimedJob) -> None:
    with database.begin() as connection:
        assert cancel(connection, running.id)
        assert cancel(connection, running.id), "asking twice is fine"

    assert end(database, running, OUTCOMES[Status.SUCCEEDED])
    assert read_records(database)[running.id].row["status"] == Status.SUCCEEDED
    with database.begin() as connection:
        assert not cancel(connection, running.id)


@pytest.mark.parametrize("status", sorted(TERMINAL - {Status.SUCCEEDED}))
def test_a_reopened_job_counts_on(database: Database, factory: Factory, status: Status) -> None:
    job_id = factory.in_state(status)
    attempts = read_records(database)[job_id].row["attempt"]
    with database.begin() as connection:
        assert reopen(connection, job_id)
        assert not reopen(connection, job_id)

    factory.end(factory.claim(job_id, attempts + 1), OUTCOMES[Status.SUCCEEDED])
    with database.begin() as connection:
        assert [row["attempt"] for row in list_attempts(connection, job_id)] == list(range(1, attempts + 2))


def test_progress_that_is_reported_twice_is_stored_once(database: Database, running: ClaimedJob) -> None:
    report = ProgressReport(AttemptId(running.id, 1), 7, 1.0, None, None, None)
    for _ in range(2):
        with database.begin() as connection:
            report_progress(connection, [report])

    with database.begin() as connection:
        stored = connection.execute(select(job_progress.c.job_id, job_progress.c.attempt, job_progress.c.seq)).all()
    assert stored == [(running.id, 1, 7)]


def test_nothing_is_asked_of_an_empty_batch(database: Database) -> None:
    with database.begin() as connection:
        assert record(connection, []) == set()
        assert submit(connection, []) == []
        assert get_jobs(connection, []) == {}
        report_progress(connection, [])
