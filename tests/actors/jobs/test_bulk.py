"""``callboard.bulk`` run as a worker runs it: what it does to which jobs, in batches that may be cut off anywhere."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from callboard.actors.execution.handler_run import HandlerRun
from callboard.actors.execution.interrupts import Interrupter, Interruption, JobInterrupted
from callboard.actors.execution.progress import Progress
from callboard.actors.execution.worker_services import WorkerServices
from callboard.actors.jobs.bulk import BulkResult, act, act_on_jobs
from callboard.db.access.audit import Actor
from callboard.db.bulk import JOB_TYPE, Action, BulkOrder, bulk_job
from callboard.db.errors import Unavailable
from callboard.db.files.outputs import attach
from callboard.db.files.rows import File, insert_file
from callboard.db.files.storage import DirectoryStorage
from callboard.db.models import audit_log, job_files, job_history
from callboard.db.reads.job_filter import JobFilter
from callboard.db.reads.jobs import get_jobs, get_states
from callboard.db.rules.ids import created_at_of, new_id
from callboard.db.rules.states import LIVE, TERMINAL, Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import ClaimedJob, consume
from tests.support.factory import OUTCOMES, Factory
from tests.support.locks import backend_of, terminate_blocked_by

ACTOR = Actor("olga", "192.0.2.7", "request-1")


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path, max_bytes=1000)


class Bulk:
    """A bulk job that runs, as its handler sees it."""

    def __init__(
        self, database: Database, storage: DirectoryStorage, factory: Factory, action: Action, **criteria: Any
    ):
        self.payload = BulkOrder(action, JobFilter(**criteria), ACTOR)
        self._factory, self._database, self._storage = factory, database, storage
        self.id = factory.submit_all(bulk_job(self.payload, owner="olga"))[0]
        self.start(1)

    def start(self, attempt: int) -> None:
        self.claimed: ClaimedJob = self._factory.claim(self.id, attempt)
        self.interrupter = Interrupter()
        self.progress = Progress(self.claimed.attempt_id)
        self.services = WorkerServices(self.claimed, self.interrupter, self._database, self._storage)
        self.attempt = HandlerRun(self.claimed, self.interrupter, self.progress, self.services)

    def run(self, batch: int = 3) -> BulkResult:
        return act(self.payload, self.attempt, self.services, batch=batch)


@pytest.fixture
def started(database: Database, storage: DirectoryStorage, factory: Factory) -> Any:
    return lambda action, **criteria: Bulk(database, storage, factory, action, **criteria)


def states(database: Database, *job_ids: UUID) -> list[Status | None]:
    with database.begin() as connection:
        found = get_states(connection, job_ids)
    return [found[job_id].status if job_id in found else None for job_id in job_ids]


def audited(database: Database) -> list[dict[str, Any]]:
    with database.begin() as connection:
        return [dict(row) for row in connection.execute(select(audit_log).order_by(audit_log.c.id)).mappings()]


AFTER: dict[Action, dict[Status, Status | None]] = {
    Action.CANCEL: {**dict.fromkeys(LIVE, Status.CANCELLED), Status.RUNNING: Status.RUNNING},
    Action.RETRY: dict.fromkeys(TERMINAL - {Status.SUCCEEDED}, Status.QUEUED),
    Action.DELETE: dict.fromkeys(TERMINAL, None),
}


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("batch", [2, 100])
def test_the_action_is_done_to_every_job_that_it_applies_to(
    database: Database, factory: Factory, started: Any, action: Action, batch: int
) -> None:
    by_status = {status: factory.in_state(status) for status in Status}
    result = started(action).run(batch)

    changed = AFTER[action]
    expected = {status: changed.get(status, status) for status in by_status}
    assert dict(zip(by_status, states(database, *by_status.values()), strict=True)) == expected
    # The bulk job itself runs, so a cancel of everything would have met it.
    assert (result.matched, result.changed, result.skipped) == (len(changed), len(changed), {})
    entries = audited(database)
    assert {entry["job_id"] for entry in entries} == {by_status[status] for status in changed}
    assert {(entry["actor"], entry["remote"], entry["request_id"]) for entry in entries} == {
        ("olga", "192.0.2.7", "request-1")
    }
    assert {entry["action"] for entry in entries} == {f"job.{action}"}


def test_a_running_job_is_asked_to_stop(database: Database, factory: Factory, started: Any) -> None:
    running = factory.in_state(Status.RUNNING)
    started(Action.CANCEL).run()

    with database.begin() as connection:
        assert get_jobs(connection, [running])[running]["cancel_requested_at"] is not None


def test_only_jobs_that_match_are_touched(database: Database, factory: Factory, started: Any) -> None:
    matching = factory.submit(type="a", queue="q", owner="ann", tags=b'{"case": "1", "x": "y"}')
    others = [
        factory.submit(type="b", queue="q", owner="ann", tags=b'{"case": "1"}'),
        factory.submit(type="a", queue="p", owner="ann", tags=b'{"case": "1"}'),
        factory.submit(type="a", queue="q", owner="bob", tags=b'{"case": "1"}'),
        factory.submit(type="a", queue="q", owner="ann", tags=b'{"case": "2"}'),
        factory.in_state(Status.SCHEDULED, type="a", queue="q", owner="ann", tags=b'{"case": "1"}'),
    ]
    made = created_at_of(matching)
    chosen = {
        "type": "a", "queue": "q", "owner": "ann", "tags": {"case": "1"}, "statuses": frozenset({Status.QUEUED}),
    }  # fmt: skip
    assert started(Action.CANCEL, **chosen, created_before=made).run().matched == 0
    assert started(Action.CANCEL, **chosen, created_after=made + timedelta(hours=1)).run().matched == 0
    assert started(Action.CANCEL, **chosen, created_after=made).run().changed == 1

    assert states(database, matching) == [Status.CANCELLED]
    assert Status.CANCELLED not in states(database, *others)


def test_jobs_that_are_younger_are_left_alone(database: Database, factory: Factory, started: Any) -> None:
    older = factory.submit()
    action = started(Action.CANCEL)
    younger = factory.submit()

    assert action.run().changed == 1
    assert states(database, older, younger, action.id) == [Status.CANCELLED, Status.QUEUED, Status.RUNNING]


def test_what_needs_no_cancel_is_skipped(database: Database, factory: Factory, started: Any) -> None:
    factory.in_state(Status.RUNNING)
    first, second = started(Action.CANCEL, type="test.job"), started(Action.CANCEL, type="test.job")
    first.run()

    assert second.run().skipped == {"cancel_requested": 1}
    assert len(audited(database)) == 1


def test_a_bulk_action_is_not_retried_by_another(database: Database, factory: Factory, started: Any) -> None:
    of_somebody, ordinary = factory.in_state(Status.CANCELLED, type=JOB_TYPE), factory.in_state(Status.FAILED)

    result = started(Action.RETRY).run()

    assert (result.matched, result.changed, result.skipped) == (2, 1, {"bulk_action": 1})
    assert states(database, of_somebody, ordinary) == [Status.CANCELLED, Status.QUEUED]


def test_what_has_no_payload_any_more_is_not_retried(database: Database, factory: Factory, started: Any) -> None:
    kept, erased = factory.in_state(Status.FAILED), factory.in_state(Status.FAILED)
    with database.begin() as connection:
        assert consume(connection, erased)
    result = started(Action.RETRY).run()

    assert (result.matched, result.changed, result.skipped) == (2, 1, {"payload_erased": 1})
    assert states(database, kept, erased) == [Status.QUEUED, Status.FAILED]


def test_a_job_whose_result_was_consumed_can_be_deleted(database: Database, factory: Factory, started: Any) -> None:
    job_id = factory.in_state(Status.SUCCEEDED)
    with database.begin() as connection:
        assert consume(connection, job_id)

    assert started(Action.DELETE).run().changed == 1
    assert states(database, job_id) == [None]


def test_deleted_jobs_take_their_files_along(
    database: Database, storage: DirectoryStorage, factory: Factory, started: Any
) -> None:
    done, live = factory.claim(factory.submit()), factory.claim(factory.submit())
    files = {}
    for job in (done, live):
        stored = storage.put(new_id(), [b"1"])
        file_id = new_id()
        storage.put(file_id, [b"1"])
        file = File(file_id, job.owner, "a", 1, stored.sha256, "text/plain")
        with database.begin() as connection:
            attach(connection, file, job_id=job.id, attempt=1)
        files[job.id] = file_id
    upload = File(new_id(), "owner", "a", 1, bytes(32), "text/plain")
    with database.begin() as connection:
        insert_file(connection, upload)
    factory.end(done, OUTCOMES[Status.SUCCEEDED])
    started(Action.DELETE).run()

    left = {item.file_id for item in storage.objects()}
    assert files[live.id] in left
    assert files[done.id] not in left
    with database.begin() as connection:
        assert list(connection.execute(select(job_files.c.file_id)).scalars()) == [files[live.id]]


def test_an_action_that_died_goes_on_where_it_was(database: Database, factory: Factory, started: Any) -> None:
    """In its third batch, twice: that waits for a lock, and the backend is terminated."""
    failed = [factory.in_state(Status.FAILED) for _ in range(10)]
    action = started(Action.RETRY)
    of_third_batch = select(job_history.c.id).where(job_history.c.id == failed[4]).with_for_update()
    for attempt in (2, 3):
        with database.begin() as holder, ThreadPoolExecutor(1) as pool:
            holder.execute(of_third_batch)
            run = pool.submit(action.run, batch=2)
            terminate_blocked_by(database, backend_of(holder))
            with pytest.raises(Unavailable):
                run.result(30)
        # What has been queued again fails again meanwhile: the action must not meet it a second time.
        again = [job_id for job_id, status in zip(failed, states(database, *failed), strict=True) if status == "queued"]
        assert again == (failed[6:] if attempt == 2 else [])
        for job_id in again:
            factory.end(factory.claim(job_id, 2), OUTCOMES[Status.FAILED])
        factory.end(action.claimed, OUTCOMES[Status.QUEUED])
        action.start(attempt)
    result = action.run(batch=2)

    assert (result.matched, result.changed, result.skipped) == (10, 10, {})
    assert Counter(entry["job_id"] for entry in audited(database)) == Counter(failed)


def test_an_attempt_that_was_fenced_out_does_nothing(database: Database, factory: Factory, started: Any) -> None:
    waiting = factory.submit()
    action = started(Action.CANCEL)
    factory.end(action.claimed, OUTCOMES[Status.QUEUED])

    with pytest.raises(JobInterrupted):
        action.run()
    assert action.interrupter.reason is Interruption.LEASE_LOST
    assert states(database, waiting) == [Status.QUEUED]
    assert audited(database) == []


def test_it_stops_between_batches_when_it_is_cancelled(database: Database, factory: Factory, started: Any) -> None:
    factory.submit()
    action = started(Action.CANCEL)
    action.interrupter.interrupt(Interruption.CANCELLED)

    with pytest.raises(JobInterrupted):
        action.run()
    assert audited(database) == []


def test_progress_counts_jobs(database: Database, factory: Factory, started: Any) -> None:
    for _ in range(4):
        factory.submit()
    action = started(Action.CANCEL)
    seen: list[tuple[float, float | None]] = []
    report = action.progress.report

    def watched(current: float, total: float | None, step: str | None, message: str | None) -> None:
        seen.append((current, total))
        report(current, total, step, message)

    action.progress.report = watched
    action.run(batch=2)

    assert seen[0] == (0, 4)
    assert (2, 4) in seen
    assert seen[-1] == (4, 4)


def test_it_needs_a_worker(started: Any) -> None:
    with pytest.raises(TypeError, match="worker"):
        act_on_jobs(started(Action.CANCEL).payload, object())  # type: ignore[arg-type]
