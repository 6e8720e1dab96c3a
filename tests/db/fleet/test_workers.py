"""Worker boots: seen, lost, and what becomes of the attempts that they hold."""

from __future__ import annotations

from functools import partial

import pytest

from callboard.db.fleet.workers import (
    StopReason,
    WorkerState,
    abandoned_attempts,
    declare_dead,
    declare_lost,
    heartbeat,
    list_workers,
    stop_requests,
    unheld_attempts,
)
from callboard.db.rules.ids import new_id
from callboard.db.rules.outcome import Outcome
from callboard.db.rules.states import Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import AttemptId, Ending, cancel, claim, record
from tests.support.clock import silence
from tests.support.factory import OUTCOMES, Factory
from tests.support.records import read_records
from tests.support.threads import together

LEASE_TTL = 30.0


def test_a_worker_that_is_seen_is_not_lost(database: Database, factory: Factory) -> None:
    silent, beating = factory.worker("silent"), factory.worker("beating")
    for worker_id in (silent, beating):
        silence(database, worker_id, LEASE_TTL + 1)
    with database.begin() as connection:
        assert heartbeat(connection, beating, WorkerState.RUNNING)
        assert declare_lost(connection, lease_ttl=LEASE_TTL) == [(silent, "silent")]
        assert declare_lost(connection, lease_ttl=LEASE_TTL) == []


@pytest.mark.parametrize("state", [WorkerState.RUNNING, WorkerState.DRAINING, WorkerState.STOPPED])
def test_a_lost_worker_stays_lost(database: Database, factory: Factory, state: WorkerState) -> None:
    worker_id, job_id = factory.worker(), factory.submit()
    silence(database, worker_id, LEASE_TTL + 1)
    with database.begin() as connection:
        declare_lost(connection, lease_ttl=LEASE_TTL)
    with database.begin() as connection:
        assert not heartbeat(connection, worker_id, state)
        assert claim(connection, [AttemptId(job_id, 1)], worker_id=worker_id, worker="host-1") == {}


def test_either_the_heartbeat_or_the_loss_comes_first(database: Database, factory: Factory) -> None:
    def lose() -> int:
        with database.begin() as connection:
            return len(declare_lost(connection, lease_ttl=LEASE_TTL))

    def beat(worker_id: object) -> int:
        with database.begin() as connection:
            return heartbeat(connection, worker_id, WorkerState.RUNNING)  # type: ignore[arg-type]

    for _ in range(20):
        worker_id = factory.worker()
        silence(database, worker_id, LEASE_TTL + 1)
        lost, alive = together(lose, partial(beat, worker_id))
        assert (lost, alive) in {(0, 1), (1, 0)}


def test_what_a_lost_worker_ran_is_found_and_nothing_else(database: Database, factory: Factory) -> None:
    lost, alive, stopped = factory.worker("lost"), factory.worker("alive"), factory.worker("stopped")
    abandoned = {factory.claim(factory.submit(), worker_id=worker).id for worker in (lost, stopped)}
    factory.claim(factory.submit(), worker_id=alive)
    factory.submit()
    silence(database, lost, LEASE_TTL + 1)
    with database.begin() as connection:
        declare_lost(connection, lease_ttl=LEASE_TTL)
        heartbeat(connection, stopped, WorkerState.STOPPED)

        assert {row["id"] for row in abandoned_attempts(connection)} == abandoned
        assert len(abandoned_attempts(connection, limit=1)) == 1


def test_a_worker_whose_process_ended_is_lost_at_once(database: Database, factory: Factory) -> None:
    job_id = factory.claim(factory.submit(), worker_id=factory.worker()).id
    with database.begin() as connection:
        declare_dead(connection, host="another", pid=1)
        declare_dead(connection, host="host", pid=2)
        assert not abandoned_attempts(connection)
        declare_dead(connection, host="host", pid=1)
        assert [row["id"] for row in abandoned_attempts(connection)] == [job_id]


def test_a_zombie_changes_nothing_after_the_rescue(database: Database, factory: Factory) -> None:
    zombie, other = factory.worker("zombie"), factory.worker("other")
    first = factory.claim(factory.submit(), worker_id=zombie)
    silence(database, zombie, LEASE_TTL + 1)
    with database.begin() as connection:
        declare_lost(connection, lease_ttl=LEASE_TTL)
        (row,) = abandoned_attempts(connection)
        record(connection, [Ending(AttemptId(row["id"], row["attempt"]), Outcome.release())])
    second = factory.claim(first.id, 2, worker_id=other)

    with database.begin() as connection:
        assert stop_requests(connection, [first.attempt_id, second.attempt_id]) == {
            first.attempt_id: StopReason.LEASE_LOST
        }
        assert record(connection, [Ending(AttemptId(first.id, 1), OUTCOMES[Status.SUCCEEDED])]) == set()
    row = read_records(database)[first.id].row
    assert (row["status"], row["attempt"], row["worker_id"]) == (Status.RUNNING, 2, other)


def test_a_cancel_reaches_the_worker_that_runs_the_job(database: Database, factory: Factory) -> None:
    cancelled, other = (factory.claim(factory.submit()) for _ in range(2))
    with database.begin() as connection:
        cancel(connection, cancelled.id)

        assert stop_requests(connection, [cancelled.attempt_id, other.attempt_id]) == {
            cancelled.attempt_id: StopReason.CANCELLED
        }
        assert stop_requests(connection, []) == {}


def test_a_claim_whose_answer_was_lost_is_found(database: Database, factory: Factory) -> None:
    worker_id = factory.worker()
    lost, held, *_ = (factory.claim(factory.submit(), worker_id=worker_id) for _ in range(2))
    factory.claim(factory.submit(), worker_id=factory.worker("other"))

    with database.begin() as connection:
        assert unheld_attempts(connection, worker_id, [held.attempt_id], older_than=0.0) == [lost.attempt_id]
        assert unheld_attempts(connection, worker_id, [held.attempt_id, lost.attempt_id], older_than=0.0) == []
        assert unheld_attempts(connection, worker_id, [], older_than=60.0) == []
        assert unheld_attempts(connection, new_id(), [], older_than=0.0) == []


def test_workers_are_listed_with_what_they_run(database: Database, factory: Factory) -> None:
    busy = factory.worker("busy")
    factory.worker("idle")
    silence(database, factory.worker("long gone"), 100_000)
    job_id = factory.claim(factory.submit(), worker_id=busy).id
    with database.begin() as connection:
        listed = {row["name"]: row["jobs"] for row in list_workers(connection)}

    assert listed == {"busy": [job_id], "idle": []}
