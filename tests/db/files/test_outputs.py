"""Files that attempts attach: fenced, those of the latest attempt alone, gone with their job."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from callboard.actors.maintenance.duties import rescue
from callboard.db.errors import NotFound
from callboard.db.files.outputs import attach, delete_outputs, list_outputs
from callboard.db.files.rows import File, delete_file, get_file
from callboard.db.fleet.workers import declare_dead
from callboard.db.rules.ids import new_id
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import ClaimedJob, reopen
from tests.support.factory import ERROR, OUTCOMES, Factory

SHA = bytes(range(32))


def put(database: Database, job: ClaimedJob, name: str = "out.csv", *, attempt: int | None = None) -> UUID | None:
    """Attach a file to a job; its id, or None if the attempt may not."""
    file = File(new_id(), job.owner, name, 3, SHA, "text/csv")
    with database.begin() as connection:
        attached = attach(connection, file, job_id=job.id, attempt=attempt or job.attempt)
    return None if attached is None else file.id


def shown(database: Database, job_id: UUID) -> list[UUID]:
    with database.begin() as connection:
        return [row["id"] for row in list_outputs(connection, job_id, limit=100)]


def exists(database: Database, file_id: UUID) -> bool:
    with database.begin() as connection:
        try:
            get_file(connection, file_id, owner=None)
        except NotFound:
            return False
    return True


@pytest.fixture
def job(factory: Factory) -> ClaimedJob:
    """Runs its first attempt."""
    return factory.claim(factory.submit())


@pytest.mark.parametrize("ending", [None, Status.SUCCEEDED, Status.FAILED, Status.RETRYING, Status.CANCELLED])
def test_the_outputs_of_the_latest_attempt_are_shown(
    database: Database, factory: Factory, job: ClaimedJob, ending: Status | None
) -> None:
    attached = [put(database, job, "1"), put(database, job, "2")]
    if ending is not None:
        factory.end(job, OUTCOMES[ending])

    assert shown(database, job.id) == attached
    with database.begin() as connection:
        first, second = list_outputs(connection, job.id, limit=1)[0], list_outputs(connection, job.id, limit=9)[1]
        assert list_outputs(connection, job.id, limit=9, after=first["id"]) == [second]
    assert (first["name"], first["attempt"], first["sha256"], first["size"]) == ("1", 1, SHA, 3)


def test_an_attempt_that_has_ended_attaches_nothing(database: Database, factory: Factory, job: ClaimedJob) -> None:
    factory.end(job, OUTCOMES[Status.SUCCEEDED])

    assert put(database, job) is None
    assert shown(database, job.id) == []


def test_another_attempt_attaches_nothing(database: Database, job: ClaimedJob) -> None:
    assert put(database, job, attempt=2) is None


def test_a_later_attempt_hides_what_earlier_ones_attached(database: Database, factory: Factory) -> None:
    job = factory.claim(factory.submit())
    early = put(database, job)
    factory.end(job, OUTCOMES[Status.QUEUED])
    again = factory.claim(job.id, 2)

    assert early is not None
    assert shown(database, job.id) == []
    assert exists(database, early)
    late = put(database, again)
    assert shown(database, job.id) == [late]
    assert not exists(database, early), "superseded by what the later attempt attached"


@pytest.mark.parametrize("max_retries", [0, 3])
def test_what_a_lost_attempt_attached_is_not_shown(database: Database, factory: Factory, max_retries: int) -> None:
    worker = factory.worker()
    job = factory.claim(factory.submit(max_retries=max_retries), worker_id=worker)
    put(database, job)
    with database.begin() as connection:
        declare_dead(connection, host="host", pid=1)
        assert len(rescue(connection)) == 1

    assert shown(database, job.id) == []
    assert put(database, job) is None


def test_a_job_that_runs_again_by_hand_shows_what_the_new_attempt_attaches(
    database: Database, factory: Factory, job: ClaimedJob
) -> None:
    put(database, job)
    factory.end(job, OUTCOMES[Status.FAILED])
    with database.begin() as connection:
        assert reopen(connection, job.id)
    again = factory.claim(job.id, 2)
    late = put(database, again)
    factory.end(again, replace(OUTCOMES[Status.FAILED], error=replace(ERROR, attempt=2)))

    assert shown(database, job.id) == [late]


def test_a_file_that_is_deleted_is_no_output_any_more(database: Database, job: ClaimedJob) -> None:
    attached, kept = put(database, job), put(database, job)
    assert attached is not None
    with database.begin() as connection:
        delete_file(connection, attached, owner=job.owner)

    assert shown(database, job.id) == [kept]


def test_all_outputs_of_some_jobs_are_deleted(database: Database, factory: Factory, job: ClaimedJob) -> None:
    other, third = factory.claim(factory.submit()), factory.claim(factory.submit())
    gone = {put(database, job), put(database, job), put(database, third)}
    kept = put(database, other)
    with database.begin() as connection:
        assert set(delete_outputs(connection, [job.id, third.id])) == gone

    assert shown(database, job.id) == []
    assert shown(database, other.id) == [kept]
