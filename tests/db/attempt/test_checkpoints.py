"""Checkpoints and steps: fenced, kept while the job may run again, deleted after that."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import select

from callboard.db.attempt.checkpoints import (
    StoredValue,
    delete_settled_checkpoints,
    read_checkpoint,
    read_step,
    save_checkpoint,
    save_step,
)
from callboard.db.models import job_checkpoints
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import ClaimedJob, erase, reopen
from tests.support.factory import ERROR, OUTCOMES, Factory

NOTHING = UUID(int=0)


@pytest.fixture
def job(factory: Factory) -> ClaimedJob:
    """Runs its first attempt."""
    return factory.claim(factory.submit())


def kept(database: Database) -> set[UUID]:
    with database.begin() as connection:
        return set(connection.execute(select(job_checkpoints.c.job_id)).scalars())


def store(database: Database, job: ClaimedJob) -> None:
    with database.begin() as connection:
        assert save_checkpoint(connection, job.id, job.attempt, b"1") == StoredValue(b"1")
        assert save_step(connection, job.id, job.attempt, "key", b"2") == StoredValue(b"2")


@pytest.mark.parametrize("data", [b"null", rb'{"b":1,"a":[1.0,1e-300],"b":"\u0000"}'])
def test_a_later_attempt_reads_exactly_what_the_last_checkpoint_had(
    database: Database, factory: Factory, job: ClaimedJob, data: bytes
) -> None:
    with database.begin() as connection:
        assert read_checkpoint(connection, job.id, 1) == StoredValue(None)
        save_checkpoint(connection, job.id, 1, b"1")
        save_checkpoint(connection, job.id, 1, data)
    factory.end(job, OUTCOMES[Status.QUEUED])
    factory.claim(job.id, 2)

    with database.begin() as connection:
        assert read_checkpoint(connection, job.id, 2) == StoredValue(data)


def test_the_first_result_of_a_step_stays(database: Database, job: ClaimedJob) -> None:
    with database.begin() as connection:
        assert read_step(connection, job.id, 1, "a") == StoredValue(None)
        assert save_step(connection, job.id, 1, "a", b'"first"') == StoredValue(b'"first"')
        assert save_step(connection, job.id, 1, "a", b'"second"') == StoredValue(b'"first"')
        assert read_step(connection, job.id, 1, "a") == StoredValue(b'"first"')
        assert read_step(connection, job.id, 1, "b") == StoredValue(None)


@pytest.mark.parametrize("ending", [Status.SUCCEEDED, Status.QUEUED, Status.FAILED])
def test_an_attempt_that_has_ended_writes_and_reads_nothing(
    database: Database, factory: Factory, job: ClaimedJob, ending: Status
) -> None:
    factory.end(job, OUTCOMES[ending])

    with database.begin() as connection:
        assert save_checkpoint(connection, job.id, 1, b"1") is None
        assert save_step(connection, job.id, 1, "key", b"1") is None
        assert read_checkpoint(connection, job.id, 1) is None
        assert read_step(connection, job.id, 1, "key") is None
    assert kept(database) == set()


def test_they_are_deleted_when_the_job_cannot_run_again(database: Database, factory: Factory) -> None:
    jobs = {status: factory.claim(factory.submit()) for status in [*OUTCOMES, Status.RUNNING]}
    for status, job in jobs.items():
        store(database, job)
        if status in OUTCOMES:
            factory.end(job, OUTCOMES[status])

    position: UUID | None = NOTHING
    rounds = 0
    while position is not None:
        with database.begin() as connection:
            position = delete_settled_checkpoints(connection, position, limit=2)
        rounds += 1

    assert rounds == len(jobs) // 2 + 1
    assert kept(database) == {job.id for status, job in jobs.items() if status is not Status.SUCCEEDED}


def test_deleting_a_job_deletes_them(database: Database, factory: Factory, job: ClaimedJob) -> None:
    store(database, job)
    factory.end(job, OUTCOMES[Status.FAILED])
    with database.begin() as connection:
        assert erase(connection, job.id)

    assert kept(database) == set()


def test_a_job_that_is_opened_again_has_them_still(database: Database, factory: Factory, job: ClaimedJob) -> None:
    store(database, job)
    factory.end(job, replace(OUTCOMES[Status.FAILED], error=ERROR))
    with database.begin() as connection:
        delete_settled_checkpoints(connection, NOTHING)
        assert reopen(connection, job.id)
    factory.claim(job.id, 2)

    with database.begin() as connection:
        assert read_step(connection, job.id, 2, "key") == StoredValue(b"2")
