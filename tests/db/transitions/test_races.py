"""Processes that act on the same jobs at the same time: nobody deadlocks, and each job moves once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text

from callboard.db.attempt.progress import ProgressReport, report_progress
from callboard.db.rules.ids import new_id
from callboard.db.rules.outcome import Outcome
from callboard.db.rules.states import AttemptOutcome, Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import (
    AttemptId,
    Ending,
    cancel,
    claim,
    expire,
    mark_dispatched,
    promote,
    record,
    reopen,
    undispatch,
)
from tests.support.clock import make_due
from tests.support.factory import OUTCOMES, QUEUE, Factory
from tests.support.records import read_records
from tests.support.threads import together

MANY = 500


@pytest.fixture
def job_ids(database: Database, factory: Factory) -> list[UUID]:
    """Queued jobs that lie in the table in another order than that of their ids."""
    ids = [new_id() for _ in range(MANY)]
    random.Random(0).shuffle(ids)
    for start in range(0, MANY, 100):
        factory.submit_all(*(factory.new_job(id=job_id) for job_id in ids[start : start + 100]))
    with database.begin() as connection:
        connection.execute(text("ANALYZE callboard.jobs"))
    return ids


def take(database: Database, worker_id: UUID, ids: Sequence[UUID], attempt: int = 1) -> set[UUID]:
    with database.begin() as connection:
        claims = [AttemptId(job_id, attempt) for job_id in ids]
        return {job.id for job in claim(connection, claims, worker_id=worker_id, worker="host-1").values()}


def end(database: Database, ids: Sequence[UUID], outcome: Outcome) -> set[UUID]:
    with database.begin() as connection:
        return {job_id for job_id, _ in record(connection, [Ending(AttemptId(job_id, 1), outcome) for job_id in ids])}


def confirm(database: Database, ids: Sequence[UUID]) -> None:
    with database.begin() as connection:
        mark_dispatched(connection, [AttemptId(job_id, 1) for job_id in ids])


def report(database: Database, ids: Sequence[UUID], seq: int) -> None:
    with database.begin() as connection:
        report_progress(
            connection, [ProgressReport(AttemptId(job_id, 1), seq, 1.0, None, None, None) for job_id in ids]
        )


def test_two_workers_with_the_same_messages_run_each_job_once(
    database: Database, factory: Factory, job_ids: list[UUID]
) -> None:
    one, other = factory.worker("one"), factory.worker("other")

    mine, theirs = together(
        partial(take, database, one, sorted(job_ids)), partial(take, database, other, sorted(job_ids, reverse=True))
    )

    assert not mine & theirs
    assert mine | theirs == set(job_ids)


def test_a_worker_and_rescue_end_each_attempt_once(database: Database, factory: Factory, job_ids: list[UUID]) -> None:
    take(database, factory.worker(), job_ids)

    by_worker, by_rescue = together(
        partial(end, database, job_ids, OUTCOMES[Status.SUCCEEDED]),
        partial(end, database, job_ids[::-1], OUTCOMES[Status.RETRYING]),
    )

    assert not by_worker & by_rescue
    assert by_worker | by_rescue == set(job_ids)
    records = read_records(database)
    assert {job_id for job_id in job_ids if records[job_id].row["status"] == Status.SUCCEEDED} == by_worker
    assert all(len(records[job_id].attempts) == 1 for job_id in job_ids)


def test_confirmations_claims_and_ends_of_the_same_jobs_do_not_deadlock(
    database: Database, factory: Factory, job_ids: list[UUID]
) -> None:
    worker_id = factory.worker()
    for _ in range(2):
        together(
            partial(confirm, database, job_ids),
            partial(take, database, worker_id, job_ids[: MANY // 2]),
            partial(take, database, worker_id, job_ids[MANY // 3 :]),
        )
        together(
            partial(report, database, job_ids, 1),
            partial(report, database, job_ids[::-1], 2),
            partial(end, database, job_ids, OUTCOMES[Status.FAILED]),
        )
        with database.begin() as connection:
            assert all(reopen(connection, job_id) for job_id in job_ids)
            connection.execute(text("UPDATE callboard.jobs SET attempt = 0"))
            connection.execute(text("DELETE FROM callboard.job_attempts"))
            connection.execute(text("DELETE FROM callboard.job_progress"))


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=lambda outcome: outcome.status)
def test_cancel_against_claim_and_end(database: Database, factory: Factory, outcome: Outcome) -> None:
    worker_id = factory.worker()

    def work(job_id: UUID) -> bool:
        return bool(take(database, worker_id, [job_id])) and bool(end(database, [job_id], outcome))

    def stop(job_id: UUID) -> bool:
        with database.begin() as connection:
            return cancel(connection, job_id)

    for _ in range(30):
        job_id = factory.submit()
        ended, cancelled = together(partial(work, job_id), partial(stop, job_id))
        rows = read_records(database)[job_id]
        if not ended:
            assert cancelled
            assert rows.attempts == []
        if cancelled:
            assert rows.row["cancel_requested_at"] is not None
            assert rows.finished, "a job that someone has cancelled in time waits for no other attempt"
        elif outcome.status not in {Status.QUEUED, Status.RETRYING}:
            assert rows.row["status"] == outcome.status


def test_dispatchers_promote_each_job_once(database: Database, factory: Factory) -> None:
    job_ids = [factory.submit(delay=60.0) for _ in range(50)]
    for job_id in job_ids:
        make_due(database, job_id)

    def promote_all() -> int:
        with database.begin() as connection:
            return promote(connection)

    assert sum(together(promote_all, promote_all, promote_all)) == len(job_ids)
    assert {record.row["revision"] for record in read_records(database).values()} == {1}


def test_upkeep_does_not_get_into_the_way_of_workers(database: Database, factory: Factory, job_ids: list[UUID]) -> None:
    worker_id = factory.worker()
    confirm(database, job_ids)
    with database.begin() as connection:
        connection.execute(text("UPDATE callboard.jobs SET expires_at = now() - interval '1 s' WHERE random() < 0.5"))

    def give_back() -> int:
        with database.begin() as connection:
            return undispatch(connection, QUEUE, older_than=-1.0)

    def end_overdue() -> int:
        with database.begin() as connection:
            return len(expire(connection))

    together(give_back, end_overdue, lambda: len(take(database, worker_id, job_ids)))

    for record_ in read_records(database).values():
        assert record_.row["status"] in {Status.RUNNING, Status.EXPIRED, Status.QUEUED}


def test_reopening_twice_makes_one_job(database: Database, factory: Factory) -> None:
    job_id = factory.in_state(Status.FAILED)

    def open_again() -> bool:
        with database.begin() as connection:
            return reopen(connection, job_id)

    assert sorted(together(open_again, open_again, open_again)) == [False, False, True]
    rows = read_records(database)[job_id]
    assert rows.row["status"] == Status.QUEUED
    assert [attempt["outcome"] for attempt in rows.attempts] == [AttemptOutcome.FAILED]
