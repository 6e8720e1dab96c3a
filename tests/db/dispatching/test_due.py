"""The dispatcher's queries: the queues that it may take, their next jobs, the time until the next one is due."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import text, update

from callboard.db.dispatching.due import (
    TakenQueues,
    anything_due,
    next_jobs,
    queues_in_flight,
    seconds_until_due,
    take_queues,
)
from callboard.db.dispatching.queues import list_queues
from callboard.db.dispatching.rate_limits import Rate
from callboard.db.fleet.gauges import read_gauges
from callboard.db.models import jobs, queues
from callboard.db.rules.outcome import Outcome
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import Amendment, AttemptId, amend, claim, mark_dispatched, promote, reopen, undispatch
from tests.support.clock import age_dispatch, make_due, seconds
from tests.support.factory import OUTCOMES, QUEUE, Factory
from tests.support.locks import backend_of, until_blocked_by


def test_jobs_come_by_priority_then_by_age(database: Database, factory: Factory) -> None:
    jobs = [(priority, factory.submit(priority=priority)) for priority in (5, 0, 9, 5, 9, 1)]
    with database.begin() as connection:
        due = next_jobs(connection, {QUEUE: 4})

    assert [row["id"] for row in due] == [job_id for _, job_id in sorted(jobs, key=lambda job: (-job[0], job[1]))][:4]
    assert {row["attempt"] for row in due} == {1}


def test_each_queue_has_a_capacity_of_its_own(database: Database, factory: Factory) -> None:
    for queue in ("one", "two"):
        for _ in range(3):
            factory.submit(queue=queue)
    with database.begin() as connection:
        due = next_jobs(connection, {"one": 2, "two": 0, "no such queue": 5})

    assert [row["queue"] for row in due] == ["one", "one"]


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.QUEUED}))
def test_only_queued_jobs_are_dispatched(database: Database, factory: Factory, status: Status) -> None:
    factory.in_state(status)
    with database.begin() as connection:
        assert next_jobs(connection, {QUEUE: 10}) == []
        assert take_queues(connection, default_window=10).limits == {}


def test_a_queue_has_one_dispatcher_at_a_time(database: Database, factory: Factory) -> None:
    for queue in ("one", "two"):
        factory.submit(queue=queue)
    with database.begin() as mine, database.begin() as other:
        assert take_queues(mine, default_window=10).limits.keys() == {"one", "two"}
        assert take_queues(other, default_window=10, first_jobs=5) == TakenQueues({}, [])
    with database.begin() as connection:
        assert take_queues(connection, default_window=10).limits.keys() == {"one", "two"}


def test_a_paused_queue_is_left_out_and_a_window_of_its_own_counts(database: Database, factory: Factory) -> None:
    for queue in ("paused", "narrow", "plain"):
        factory.submit(queue=queue)
    with database.begin() as connection:
        connection.execute(update(queues).where(queues.c.name == "paused").values(paused=True))
        connection.execute(update(queues).where(queues.c.name == "narrow").values(dispatch_window=3))

        taken = take_queues(connection, default_window=10, first_jobs=5)

    assert {name: limits.window for name, limits in taken.limits.items()} == {"narrow": 3, "plain": 10}
    assert {row["queue"] for row in taken.first_jobs} == {"narrow", "plain"}


def test_the_first_jobs_of_a_queue_can_come_with_it(database: Database, factory: Factory) -> None:
    jobs = {queue: [factory.submit(queue=queue, priority=priority) for priority in (1, 9, 5)] for queue in ("a", "b")}
    with database.begin() as connection:
        first_jobs = take_queues(connection, default_window=10, first_jobs=2).first_jobs

    assert sorted((row["queue"], row["id"]) for row in first_jobs) == sorted(
        (queue, job_id) for queue, (_, high, middle) in jobs.items() for job_id in (high, middle)
    )
    assert [row["priority"] for row in first_jobs if row["queue"] == "a"] == [9, 5]


def test_a_concurrency_limit_counts_what_runs_and_what_is_on_its_way(database: Database, factory: Factory) -> None:
    factory.in_state(Status.RUNNING)
    sent = factory.submit()
    factory.submit()
    with database.begin() as connection:
        mark_dispatched(connection, [AttemptId(sent, 1)])
        connection.execute(update(queues).values(concurrency_limit=3))

        assert take_queues(connection, default_window=10).limits[QUEUE].capacity(0) == 1


def test_a_message_without_its_mark_counts_while_it_waits(database: Database, factory: Factory) -> None:
    """Of a job that was amended, or of a queue that was paused in between."""
    factory.submit()
    with database.begin() as connection:
        connection.execute(update(queues).values(concurrency_limit=3))
        limits = take_queues(connection, default_window=10).limits[QUEUE]

    assert [limits.capacity(depth) for depth in (0, 1, 3, 4)] == [3, 2, 0, 0]


def test_a_dispatcher_counts_what_another_has_marked_just_before_it_got_the_queue(
    database: Database, factory: Factory
) -> None:
    """The other one commits after this one's statement has begun, and before that asks for the lock."""
    first, _ = (factory.submit() for _ in range(2))
    with database.begin() as connection:
        connection.execute(update(queues).values(concurrency_limit=1))
        connection.execute(text(_SLOW_LOCK))

    def take() -> int:
        with database.begin() as late:
            late.execute(text("SET LOCAL test.waits = 'on'"))
            return take_queues(late, default_window=10).limits[QUEUE].capacity(0)

    try:
        with ThreadPoolExecutor(1) as pool:
            with database.begin() as holder:
                holder.execute(text("SELECT pg_advisory_xact_lock(4711)"))
                with database.begin() as early:
                    assert take_queues(early, default_window=10).limits[QUEUE].capacity(0) == 1
                    mark_dispatched(early, [AttemptId(first, 1)])
                    taking = pool.submit(take)
                    until_blocked_by(database, backend_of(holder))
            assert taking.result(60) == 0
    finally:
        with database.begin() as connection:
            connection.execute(text(_QUICK_LOCK))


#: A statement that takes a lock waits for the test first, where its transaction says so.
_SLOW_LOCK = """
ALTER FUNCTION callboard.try_lock(text) RENAME TO try_lock_at_once;
CREATE FUNCTION callboard.try_lock(wanted text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('test.waits', true) = 'on' THEN
        PERFORM pg_advisory_xact_lock_shared(4711);
    END IF;
    RETURN callboard.try_lock_at_once(wanted);
END
$$
"""
_QUICK_LOCK = """
DROP FUNCTION callboard.try_lock(text);
ALTER FUNCTION callboard.try_lock_at_once(text) RENAME TO try_lock
"""


def test_a_message_that_the_concurrency_limit_does_not_count_starts_nothing(
    database: Database, factory: Factory
) -> None:
    """It was sent before the job's priority was changed: the job is sent again, in its new place."""
    job_id = factory.submit()
    with database.begin() as connection:
        connection.execute(update(queues).values(concurrency_limit=1))
        mark_dispatched(connection, [AttemptId(job_id, 1)])
        assert amend(connection, job_id, Amendment({"priority": 0}))
    urgent = factory.submit(priority=9)
    worker_id = factory.worker()
    with database.begin() as connection:
        assert claim(connection, [AttemptId(job_id, 1)], worker_id=worker_id, worker="host-1") == {}
        mark_dispatched(connection, [AttemptId(urgent, 1)])
        assert claim(connection, [AttemptId(urgent, 1)], worker_id=worker_id, worker="host-1")


def test_a_rate_bounds_what_waits_in_the_broker(database: Database, factory: Factory) -> None:
    factory.submit()
    with database.begin() as connection:
        connection.execute(update(queues).values(rate_limit=90, rate_period=60.0))
        limits = take_queues(connection, default_window=10).limits[QUEUE]

    assert limits.rate == Rate(1.5)
    assert [limits.capacity(depth) for depth in (0, 1, 2, 3)] == [2, 1, 0, 0]


def test_the_dispatcher_polls_again_when_the_first_job_is_due(database: Database, factory: Factory) -> None:
    factory.in_state(Status.BLOCKED)
    with database.begin() as connection:
        assert seconds_until_due(connection) is None
    factory.submit(delay=500.0)
    job_id = factory.submit(delay=100.0)
    with database.begin() as connection:
        assert 90 < (seconds_until_due(connection) or 0) <= 100
    make_due(database, job_id)
    with database.begin() as connection:
        assert (seconds_until_due(connection) or 0) <= 0


def test_blocked_jobs_are_never_promoted(database: Database, factory: Factory) -> None:
    factory.in_state(Status.BLOCKED)
    with database.begin() as connection:
        assert promote(connection) == 0


def test_promotion_goes_in_steps(database: Database, factory: Factory) -> None:
    for _ in range(5):
        make_due(database, factory.submit(delay=60.0))
    with database.begin() as connection:
        assert [promote(connection, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_only_messages_that_are_old_enough_are_taken_for_lost(database: Database, factory: Factory) -> None:
    old, young = factory.submit(), factory.submit()
    with database.begin() as connection:
        mark_dispatched(connection, [AttemptId(old, 1), AttemptId(young, 1)])
        assert next_jobs(connection, {QUEUE: 10}) == []
        assert queues_in_flight(connection) == [QUEUE]
    age_dispatch(database, old, 20.0)
    with database.begin() as connection:
        assert undispatch(connection, "another", older_than=15.0) == 0
        assert undispatch(connection, QUEUE, older_than=15.0) == 1
        assert [row["id"] for row in next_jobs(connection, {QUEUE: 10})] == [old]


@pytest.mark.parametrize(
    ("status", "due"),
    [(Status.QUEUED, True), (Status.SCHEDULED, False), (Status.RUNNING, False), (Status.FAILED, False)],
)
def test_whether_anything_is_due(database: Database, factory: Factory, status: Status, due: bool) -> None:
    factory.in_state(status)
    with database.begin() as connection:
        assert anything_due(connection, ["another", QUEUE]) == due
        assert not anything_due(connection, ["another"])


def waits(database: Database) -> tuple[float | None, float | None]:
    """Return the age of the oldest waiting job as the list of queues and as the gauges have it, in whole minutes."""
    with database.begin() as connection:
        [queue] = list_queues(connection)
        ages = [row["oldest_waiting_age"] for row in read_gauges(connection).jobs if row["status"] == Status.QUEUED]
    listed = queue["oldest_waiting_age"]
    return (None if listed is None else float(listed) // 60, float(ages[0]) // 60 if ages else None)


def age_times(database: Database, job_id: UUID, by: float, *columns: str) -> None:
    """Let these times of a job be so much earlier."""
    with database.begin() as connection:
        values = {name: jobs.c[name] - seconds(by) for name in columns}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))


def test_a_wait_counts_from_when_a_job_was_due(database: Database, factory: Factory) -> None:
    """Not from when it was made: a delayed, retried, released or reopened job is not late."""
    delayed = factory.submit(delay=3600.0)
    assert waits(database) == (None, None)
    age_times(database, delayed, 3600.0 + 120.0, "scheduled_at", "due_at")
    with database.begin() as connection:
        assert promote(connection) == 1
    assert waits(database) == (2.0, 2.0)

    factory.end(factory.claim(delayed), OUTCOMES[Status.RETRYING])
    assert waits(database) == (None, None)
    age_times(database, delayed, 3600.0 + 300.0, "due_at")
    with database.begin() as connection:
        assert promote(connection) == 1
    assert waits(database) == (5.0, 5.0)

    factory.end(factory.claim(delayed, 2), Outcome.release())
    assert waits(database) == (0.0, 0.0)
    factory.end(factory.claim(delayed, 3), OUTCOMES[Status.FAILED])
    with database.begin() as connection:
        assert reopen(connection, delayed)
    assert waits(database) == (0.0, 0.0)


def test_a_job_that_is_moved_to_now_waits_from_now_on(database: Database, factory: Factory) -> None:
    job_id = factory.submit(delay=3600.0)
    age_times(database, job_id, 600.0, "created_at")
    with database.begin() as connection:
        assert amend(connection, job_id, Amendment({"scheduled_at": None}))
    assert waits(database) == (0.0, 0.0)


def test_a_job_of_an_older_release_waits_since_it_was_scheduled(database: Database, factory: Factory) -> None:
    job_id = factory.submit()
    age_times(database, job_id, 600.0, "created_at")
    with database.begin() as connection:
        connection.execute(update(jobs).values(queued_at=None))
    assert waits(database) == (10.0, 10.0)
