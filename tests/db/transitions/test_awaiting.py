"""Jobs whose type a worker does not know."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import RowMapping, func, literal, select, update

from callboard.db.fleet.workers import WorkerBoot, register_worker
from callboard.db.models import TIME, job_history, jobs, queues
from callboard.db.reads.jobs import get_jobs
from callboard.db.reads.timeline import Watch, read_events
from callboard.db.rules.ids import new_id
from callboard.db.rules.outcome import Outcome
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import (
    Amendment,
    AttemptId,
    UnknownType,
    amend,
    await_worker,
    cancel,
    expire,
    mark_dispatched,
    promote,
    recall,
    reopen,
)
from tests.support.clock import make_due, make_overdue, seconds
from tests.support.factory import ERROR, QUEUE, Factory

DAY = 86_400.0


def meet(database: Database, job_id: UUID, attempt: int = 1, *, grace: float = DAY) -> list[UnknownType]:
    """Let a worker get the message that does not know the type."""
    with database.begin() as connection:
        mark_dispatched(connection, [AttemptId(job_id, attempt)])
        return await_worker(connection, [AttemptId(job_id, attempt)], grace=grace)


def meet_again(database: Database, job_id: UUID, attempt: int = 1, *, grace: float = DAY) -> list[UnknownType]:
    make_due(database, job_id)
    with database.begin() as connection:
        assert promote(connection) == 1
    return meet(database, job_id, attempt, grace=grace)


def row_of(database: Database, job_id: UUID) -> RowMapping:
    with database.begin() as connection:
        columns = (column for column in jobs.c if column is not jobs.c.due_at)
        statement = select(*columns, func.nullif(jobs.c.due_at, literal("infinity", TIME)).label("due_at"))
        return connection.execute(statement.where(jobs.c.id == job_id)).mappings().one()


def pause_of(database: Database, job_id: UUID) -> timedelta:
    with database.begin() as connection:
        pause: timedelta = connection.execute(
            select(jobs.c.due_at - func.now()).where(jobs.c.id == job_id)
        ).scalar_one()
    return pause


def age_wait(database: Database, job_id: UUID, by: float) -> None:
    """Let a job wait for a worker since so much earlier."""
    since = func.to_char(func.timezone("UTC", func.now() - seconds(by)), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    with database.begin() as connection:
        values = {"waiting_for": jobs.c.waiting_for.op("||")(func.jsonb_build_object("since", since))}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))


def waiting_for(database: Database, job_id: UUID) -> dict[str, Any] | None:
    with database.begin() as connection:
        job = get_jobs(connection, [job_id])[job_id]
    return None if job["waiting_for"] is None else orjson.loads(job["waiting_for"])


def test_it_waits_for_a_worker_without_an_attempt(database: Database, factory: Factory) -> None:
    job_id = factory.submit(type="new.type", max_retries=0)
    assert meet(database, job_id) == [UnknownType(job_id, "new.type", QUEUE, tries=1, failed=False)]

    row = row_of(database, job_id)
    assert (row["status"], row["attempt"], row["retries"], row["dispatched_at"]) == (Status.BLOCKED, 0, 0, None)
    shown = waiting_for(database, job_id)
    assert shown is not None
    assert shown.items() >= {"kind": "worker", "type": "new.type", "tries": 1}.items()
    assert shown.keys() == {"kind", "type", "tries", "since"}

    meet_again(database, job_id)
    again = waiting_for(database, job_id)
    assert again == shown | {"tries": 2}
    make_due(database, job_id)
    with database.begin() as connection:
        promote(connection)
    assert waiting_for(database, job_id) == again
    claimed = factory.claim(job_id)
    assert (claimed.attempt, claimed.retries) == (1, 0)
    assert waiting_for(database, job_id) is None


def test_the_pauses_grow(database: Database, factory: Factory) -> None:
    job_id = factory.submit(type="new.type")
    meet(database, job_id)
    pauses = [pause_of(database, job_id).total_seconds()]
    for _ in range(11):
        meet_again(database, job_id)
        pauses.append(pause_of(database, job_id).total_seconds())

    for tries, pause in enumerate(pauses):
        longest = min(300.0, 2.0**tries)
        assert longest / 2 - 1 < pause <= longest


def test_they_stay_short_while_a_worker_lives_that_knows_the_type(database: Database, factory: Factory) -> None:
    job_id = factory.submit(type="new.type")
    boot = WorkerBoot(new_id(), "new", host="host", pid=2, version="1", queues=[QUEUE], threads=1, types=["new.type"])
    with database.begin() as connection:
        register_worker(connection, boot)
    meet(database, job_id)
    for _ in range(11):
        meet_again(database, job_id)
    assert pause_of(database, job_id) <= timedelta(seconds=5)


def test_a_worker_that_knows_the_type_has_it_tried_at_once(database: Database, factory: Factory) -> None:
    waits, other, blocked = (
        factory.submit(type="new.type"),
        factory.submit(type="other"),
        factory.in_state(Status.BLOCKED),
    )
    for job_id in (waits, other):
        meet(database, job_id)
    with database.begin() as connection:
        assert recall(connection, ["new.type", "test.job"]) == 1
        assert recall(connection, ["new.type", "test.job"]) == 0

    assert [row_of(database, job_id)["status"] for job_id in (waits, other, blocked)] == [
        "queued",
        "blocked",
        "blocked",
    ]
    assert (waiting_for(database, waits) or {})["tries"] == 0


@pytest.mark.parametrize("grace", [0.0, 60.0])
def test_after_the_grace_it_fails_without_an_attempt(database: Database, factory: Factory, grace: float) -> None:
    job_id = factory.submit(type="old.type", max_retries=5)
    if grace:
        meet(database, job_id, grace=grace)
        age_wait(database, job_id, 58.0)
        meet_again(database, job_id, grace=grace)
        assert pause_of(database, job_id) <= timedelta(seconds=2)
        age_wait(database, job_id, 61.0)
        assert meet_again(database, job_id, grace=grace) == [UnknownType(job_id, "old.type", QUEUE, 3, failed=True)]
    else:
        assert meet(database, job_id, grace=grace) == [UnknownType(job_id, "old.type", QUEUE, 1, failed=True)]

    with database.begin() as connection:
        row = connection.execute(select(job_history).where(job_history.c.id == job_id)).mappings().one()
    assert (row["status"], row["attempt"]) == (Status.FAILED, 0)
    assert (row["error"]["reason"], row["error"]["type"]) == ("unknown_type", "UnknownJobType")
    assert f"'old.type', for {grace:g} s" in row["error"]["message"]

    with database.begin() as connection:
        assert reopen(connection, job_id)
    assert meet(database, job_id, grace=60.0)[0].failed is False


def test_a_wait_belongs_to_one_attempt(database: Database, factory: Factory) -> None:
    """The grace of the next one is whole."""
    job_id = factory.submit(type="new.type")
    meet(database, job_id)
    age_wait(database, job_id, DAY)
    make_due(database, job_id)
    with database.begin() as connection:
        promote(connection)
    factory.end(factory.claim(job_id), Outcome.retry_later(ERROR, delay=0.0))
    assert waiting_for(database, job_id) is None
    make_due(database, job_id)
    with database.begin() as connection:
        promote(connection)

    assert meet(database, job_id, 2) == [UnknownType(job_id, "new.type", QUEUE, tries=1, failed=False)]
    assert row_of(database, job_id)["retries"] == 1


def test_messages_of_jobs_that_have_moved_on_change_nothing(database: Database, factory: Factory) -> None:
    running, retrying = factory.in_state(Status.RUNNING), factory.in_state(Status.RETRYING)
    done, queued = factory.in_state(Status.SUCCEEDED), factory.submit()
    stale = [AttemptId(running, 1), AttemptId(retrying, 1), AttemptId(done, 1), AttemptId(queued, 2)]
    with database.begin() as connection:
        assert await_worker(connection, stale, grace=0.0) == []
        assert await_worker(connection, stale, grace=DAY) == []


def test_it_can_be_cancelled_expired_and_moved(database: Database, factory: Factory) -> None:
    cancelled, expired, moved, soon = (factory.submit(type="new.type") for _ in range(4))
    for job_id in (cancelled, expired, moved, soon):
        meet(database, job_id)
    make_overdue(database, expired)
    with database.begin() as connection:
        assert cancel(connection, cancelled)
        assert len(expire(connection)) == 1
        later = connection.execute(select(func.now() + seconds(3600.0))).scalar_one()
        assert amend(connection, moved, Amendment({"scheduled_at": later}))
        assert amend(connection, soon, Amendment({"scheduled_at": None}))
        assert recall(connection, ["new.type"]) == 0

    assert (row_of(database, moved)["status"], row_of(database, moved)["due_at"]) == (Status.SCHEDULED, later)
    assert row_of(database, soon)["status"] == Status.QUEUED


def test_it_does_not_count_against_the_concurrency_limit(database: Database, factory: Factory) -> None:
    job_id = factory.submit(type="new.type")
    with database.begin() as connection:
        connection.execute(update(queues).values(concurrency_limit=1))
    meet(database, job_id)
    assert row_of(database, job_id)["dispatched_at"] is None


def test_its_events_tell(database: Database, factory: Factory) -> None:
    job_id = factory.submit(type="new.type")
    meet(database, job_id)
    meet_again(database, job_id)
    with database.begin() as connection:
        seen = read_events(connection, [Watch(job_id)], limit=10)[job_id].events
        assert [event.kind for event in seen] == ["submitted", "waiting"]
        rest = Watch(job_id, seen[-1].position)
        assert read_events(connection, [rest], limit=10)[job_id].events == []
    assert seen[1].waiting_for is not None
    assert '"kind": "worker"' in seen[1].waiting_for

    make_due(database, job_id)
    with database.begin() as connection:
        promote(connection)
    factory.end(factory.claim(job_id), Outcome.succeed(b"1"))
    with database.begin() as connection:
        kinds = [event.kind for event in read_events(connection, [Watch(job_id)], limit=10)[job_id].events]
        later = [event.kind for event in read_events(connection, [rest], limit=10)[job_id].events]
    assert kinds == ["submitted", "waiting", "started", "finished"]
    assert later == ["started", "finished"]
