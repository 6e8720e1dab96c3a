"""No sequence of verbs, stale ones included, breaks one outcome (P2) or one attempt at a time (P3).

Every step is played on PostgreSQL and on ``tests.support.model``; after each of them both must say the same.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as play
from sqlalchemy import update

from callboard.db.attempt.progress import ProgressReport, report_progress
from callboard.db.dispatching.due import next_jobs
from callboard.db.dispatching.queues import ensure_queues
from callboard.db.fleet.workers import WorkerState, abandoned_attempts, declare_lost, heartbeat, stop_requests
from callboard.db.models import metadata, queues
from callboard.db.rules.outcome import JobError, Outcome
from callboard.db.rules.retry import RetryPolicy, decide_retry
from callboard.db.rules.states import LIVE, TERMINAL, WAITING, Reason, Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import (
    AttemptId,
    Ending,
    IdempotencyKey,
    NewJob,
    SubmissionKind,
    SubmissionRequest,
    cancel,
    claim,
    expire,
    mark_dispatched,
    promote,
    record,
    reopen,
    submit,
    undispatch,
)
from tests.support import clock
from tests.support.factory import QUEUE, Factory
from tests.support.model import ModelJob, ModelWorker
from tests.support.records import Record, read_records

#: From long ago to not yet: which attempt a message or a worker speaks of, seen from the job's latest.
OFFSETS = st.sampled_from([0, 0, 0, -1, 1])
ENDS = st.sampled_from(["succeed", "fail", "raise", "release", "cancel"])
LEASE_TTL = 30.0


def a_job(*likely: Status) -> st.SearchStrategy[ModelJob]:
    """Any job, four times as often one in a state where the step has an effect."""

    def choose(machine: Transitions) -> st.SearchStrategy[ModelJob]:
        jobs = list(machine.model.values())
        return st.sampled_from([job for job in jobs if job.status in likely] * 4 + jobs)

    return st.runner().flatmap(choose)


def a_worker() -> st.SearchStrategy[ModelWorker]:
    """Any worker, four times as often one that is alive."""

    def choose(machine: Transitions) -> st.SearchStrategy[ModelWorker]:
        return st.sampled_from([worker for worker in machine.workers if worker.alive] * 4 + machine.workers)

    return st.runner().flatmap(choose)


with_jobs = precondition(lambda machine: machine.model)


class Transitions(RuleBasedStateMachine):
    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.factory = Factory(database)
        self.model: dict[Any, ModelJob] = {}
        self.keys: dict[str, tuple[bytes, list[Any]]] = {}
        self.seen: dict[Any, Record] = {}
        self.workers: list[ModelWorker] = []
        with database.begin() as connection:
            connection.exec_driver_sql("; ".join(f"DELETE FROM {table}" for table in metadata.sorted_tables))
            ensure_queues(connection, [QUEUE])
        self.boot()
        self.boot()

    def boot(self) -> None:
        self.workers.append(ModelWorker(self.factory.worker()))

    def is_now(self, worker: ModelWorker, state: WorkerState) -> None:
        """Set the state of a running worker; the last one that dies is replaced, as a supervisor does."""
        if worker.alive:
            worker.state = state
            if not any(each.alive for each in self.workers):
                self.boot()

    # --- submitting -------------------------------------------------------------------------------------------------

    @rule(
        later=st.booleans(),
        priority=st.integers(0, 9),
        max_retries=st.integers(0, 2),
        unique_key=st.sampled_from([None, None, "one", "two"]),
    )
    def submit(self, *, later: bool, priority: int, max_retries: int, unique_key: str | None) -> None:
        new = self.factory.new_job(
            priority=priority,
            max_retries=max_retries,
            delay=3600.0 if later else None,
            unique_key=unique_key,
            payload=b'{"n": %d}' % len(self.model),
        )
        with self.database.begin() as connection:
            (made,) = submit(connection, [SubmissionRequest([new])])
        expected = self.expect(new)
        assert (made.kind, made.job_ids) == (SubmissionKind.CREATED, [expected.id])

    @rule(key=st.sampled_from(["k", "l"]), body=st.sampled_from([b"a", b"b"]))
    def submit_with_idempotency_key(self, key: str, body: bytes) -> None:
        new = self.factory.new_job(max_retries=0)
        with self.database.begin() as connection:
            (made,) = submit(connection, [SubmissionRequest([new], IdempotencyKey("owner", key, body, 60.0))])
        if key not in self.keys:
            self.keys[key] = (body, [new.id])
            self.expect(new)
            assert (made.kind, made.job_ids) == (SubmissionKind.CREATED, [new.id])
        elif self.keys[key][0] == body:
            assert (made.kind, made.job_ids) == (SubmissionKind.REPLAYED, self.keys[key][1])
        else:
            assert (made.kind, made.job_ids) == (SubmissionKind.KEY_REUSED, [])

    @with_jobs
    @rule(job=a_job(*TERMINAL))
    def submit_again_after_a_lost_answer(self, job: ModelJob) -> None:
        with self.database.begin() as connection:
            (made,) = submit(connection, [SubmissionRequest([job.new])], repeated=True)
        assert made.job_ids == [job.id]

    def expect(self, new: NewJob) -> ModelJob:
        for other in self.model.values():
            if other.live and new.unique_key is not None and other.unique_key == new.unique_key:
                return other
        status = Status.QUEUED if new.delay is None else Status.SCHEDULED
        self.model[new.id] = ModelJob(new, status, new.unique_key)
        return self.model[new.id]

    # --- dispatching ------------------------------------------------------------------------------------------------

    @with_jobs
    @rule(job=a_job(Status.SCHEDULED, Status.RETRYING))
    def promote(self, job: ModelJob) -> None:
        clock.make_due(self.database, job.id)
        with self.database.begin() as connection:
            promoted = promote(connection)
        waits = job.status in {Status.SCHEDULED, Status.RETRYING}
        assert promoted == int(waits)
        if waits:
            job.promote()

    @precondition(lambda machine: any(job.dispatchable for job in machine.model.values()))
    @rule(confirmed=st.integers(0, 5))
    def dispatch(self, confirmed: int) -> None:
        with self.database.begin() as connection:
            due = next_jobs(connection, {QUEUE: 100})
            expected = sorted(
                (job for job in self.model.values() if job.dispatchable), key=lambda job: (-job.new.priority, job.id)
            )
            assert [(row["id"], row["attempt"]) for row in due] == [(job.id, job.attempt + 1) for job in expected]
            mark_dispatched(connection, [AttemptId(job.id, job.attempt + 1) for job in expected[:confirmed]])
        for job in expected[:confirmed]:
            job.mark_dispatched(job.attempt + 1)

    @with_jobs
    @rule(job=a_job(Status.QUEUED), offset=OFFSETS)
    def confirm_late(self, job: ModelJob, offset: int) -> None:
        with self.database.begin() as connection:
            mark_dispatched(connection, [AttemptId(job.id, job.attempt + 1 + offset)])
        job.mark_dispatched(job.attempt + 1 + offset)

    @precondition(lambda machine: any(job.dispatched for job in machine.model.values()))
    @rule()
    def undispatch(self) -> None:
        expected = [job for job in self.model.values() if job.dispatched and job.status is Status.QUEUED]
        with self.database.begin() as connection:
            assert undispatch(connection, QUEUE, older_than=3600.0) == 0
            assert undispatch(connection, QUEUE, older_than=-1.0) == len(expected)
        for job in expected:
            job.dispatched = False

    # --- running ----------------------------------------------------------------------------------------------------

    @precondition(lambda machine: machine.of(Status.QUEUED))
    @rule(worker=a_worker(), most=st.integers(1, 4))
    def claim_what_is_next(self, worker: ModelWorker, most: int) -> None:
        self.claim([(job, 0) for job in self.of(Status.QUEUED)[:most]], worker, paused=False)

    @precondition(lambda machine: machine.of(Status.RUNNING))
    @rule(how=ENDS, most=st.integers(1, 4))
    def end_what_runs(self, how: str, most: int) -> None:
        self.end([(job, 0, how) for job in self.of(Status.RUNNING)[:most]])

    @precondition(lambda machine: machine.of(Status.RETRYING))
    @rule()
    def retry_what_failed(self) -> None:
        self.promote(self.of(Status.RETRYING)[0])

    @with_jobs
    @rule(
        messages=st.lists(
            st.tuples(a_job(Status.QUEUED), OFFSETS), min_size=1, max_size=4, unique_by=lambda message: message[0].id
        ),
        worker=a_worker(),
        paused=st.sampled_from([False, False, False, True]),
    )
    def claim(self, messages: list[tuple[ModelJob, int]], worker: ModelWorker, *, paused: bool) -> None:
        claims = [AttemptId(job.id, job.attempt + 1 + offset) for job, offset in messages]
        with self.database.begin() as connection:
            connection.execute(update(queues).values(paused=paused))
            claimed = claim(connection, claims, worker_id=worker.id, worker="host-1")
        expected = {
            each for each in dict.fromkeys(claims) if self.model[each.job_id].claim(each.number, worker, paused=paused)
        }
        assert claimed.keys() == expected
        for each, ours in claimed.items():
            assert ours.attempt_id == each
            assert ours.payload == self.model[each.job_id].new.payload.decode()

    @with_jobs
    @rule(
        endings=st.lists(
            st.tuples(a_job(Status.RUNNING), OFFSETS, ENDS),
            min_size=1,
            max_size=4,
            unique_by=lambda ending: ending[0].id,
        )
    )
    def end(self, endings: list[tuple[ModelJob, int, str]]) -> None:
        self.record([(job, job.attempt + offset, self.outcome(job, how)) for job, offset, how in endings])

    @precondition(lambda machine: machine.of(Status.RUNNING))
    @rule(job=a_job(Status.RUNNING), offset=OFFSETS, current=st.integers(0, 10))
    def progress(self, job: ModelJob, offset: int, current: int) -> None:
        attempt = job.attempt + offset
        job.progress += 1
        report = ProgressReport(AttemptId(job.id, attempt), job.progress, current, 10, step=None, message="\0")
        with self.database.begin() as connection:
            report_progress(connection, [report])
        row = read_records(self.database)[job.id].row
        shown = row["progress"] is not None and row["progress"]["current"] == current
        assert shown or not job.runs(attempt)

    @precondition(lambda machine: machine.of(Status.RUNNING))
    @rule(job=a_job(Status.RUNNING), offset=OFFSETS)
    def ask_what_to_stop(self, job: ModelJob, offset: int) -> None:
        held = AttemptId(job.id, job.attempt + offset)
        with self.database.begin() as connection:
            reasons = stop_requests(connection, [held])
        expected = {} if job.runs(held.number) else {held: "lease_lost"}
        assert reasons == ({held: "cancelled"} if job.runs(held.number) and job.cancel_requested else expected)

    # --- stopping ---------------------------------------------------------------------------------------------------

    @precondition(lambda machine: machine.of(Status.RUNNING) or machine.of(Status.RETRYING))
    @rule(job=a_job(Status.RUNNING, Status.RETRYING))
    def cancel(self, job: ModelJob) -> None:
        with self.database.begin() as connection:
            cancelled = cancel(connection, job.id)
        assert cancelled == job.cancel()

    @precondition(lambda machine: any(job.live and not job.overdue for job in machine.model.values()))
    @rule(job=a_job(*LIVE))
    def be_late(self, job: ModelJob) -> None:
        clock.make_overdue(self.database, job.id)
        job.overdue = job.overdue or job.live

    @precondition(lambda machine: any(job.live and job.overdue for job in machine.model.values()))
    @rule()
    def expire(self) -> None:
        waiting = [job for job in self.model.values() if job.overdue and not job.started and job.status in WAITING]
        with self.database.begin() as connection:
            assert len(expire(connection)) == len(waiting)
        for job in waiting:
            job.expire()

    @with_jobs
    @rule(worker=a_worker(), state=st.sampled_from([WorkerState.RUNNING, WorkerState.DRAINING, WorkerState.STOPPED]))
    def heartbeat(self, worker: ModelWorker, state: WorkerState) -> None:
        with self.database.begin() as connection:
            assert heartbeat(connection, worker.id, state) == worker.alive
        self.is_now(worker, state)

    @with_jobs
    @rule(worker=a_worker())
    def lose_worker(self, worker: ModelWorker) -> None:
        clock.silence(self.database, worker.id, LEASE_TTL + 1)
        with self.database.begin() as connection:
            lost = [worker_id for worker_id, _ in declare_lost(connection, lease_ttl=LEASE_TTL)]
        assert lost == ([worker.id] if worker.alive else [])
        self.is_now(worker, WorkerState.LOST)

    @precondition(lambda machine: not all(job.worker.alive for job in machine.of(Status.RUNNING)))
    @rule()
    def rescue(self) -> None:
        with self.database.begin() as connection:
            actual = {(row["id"], row["attempt"]) for row in abandoned_attempts(connection)}
        abandoned = [job for job in self.model.values() if job.worker is not None and not job.worker.alive]
        assert actual == {(job.id, job.attempt) for job in abandoned}
        if abandoned:
            self.record([(job, job.attempt, self.outcome(job, "raise")) for job in abandoned])

    @precondition(lambda machine: not all(job.live for job in machine.model.values()))
    @rule(job=a_job(*TERMINAL))
    def reopen(self, job: ModelJob) -> None:
        with self.database.begin() as connection:
            reopened = reopen(connection, job.id)
        assert reopened == job.reopen()

    # --- what always holds ------------------------------------------------------------------------------------------

    @invariant()
    def both_say_the_same(self) -> None:
        records = read_records(self.database)
        assert records.keys() == self.model.keys()
        for job_id, job in self.model.items():
            self.compare(job, records[job_id])
            if job_id in self.seen:
                self.compare_in_time(self.seen[job_id], records[job_id])
        self.seen = records

    def compare(self, job: ModelJob, rows: Record) -> None:
        row = rows.row
        assert bool(rows.finished) == (job.status in TERMINAL)
        assert (row["status"], row["attempt"], row["retries"]) == (job.status, job.attempt, job.retries)
        assert row["retries"] <= row["max_retries"] == job.new.max_retries
        assert (row["cancel_requested_at"] is not None) == job.cancel_requested
        assert row["unique_key"] == job.unique_key
        assert row["payload"] == {"n": row["payload"]["n"]}
        assert {each["attempt"]: each["outcome"] for each in rows.attempts} == job.ended
        assert sorted(job.ended) == list(range(1, job.attempt + (job.status is not Status.RUNNING)))
        times = [time for each in rows.attempts for time in (each["started_at"], each["finished_at"])]
        if job.status is Status.RUNNING:
            assert job.worker is not None
            assert row["worker_id"] == job.worker.id
            times.append(row["attempt_started_at"])
        assert times == sorted(times), "an attempt started before the one before it had ended"
        if rows.live:
            assert (row["dispatched_at"] is not None) == job.dispatched

    @staticmethod
    def compare_in_time(before: Record, now: Record) -> None:
        old, new = before.row, now.row
        assert old["payload"] == new["payload"]
        assert old["created_at"] == new["created_at"]
        assert old["attempt"] <= new["attempt"] <= old["attempt"] + 1
        changed = any(old[name] != new[name] for name in ("status", "attempt", "cancel_requested_at", "progress"))
        assert new["revision"] > old["revision"] if changed else new["revision"] == old["revision"]
        assert now.attempts[: len(before.attempts)] == before.attempts

    # --- helpers ----------------------------------------------------------------------------------------------------

    def of(self, status: Status) -> list[ModelJob]:
        return [job for job in self.model.values() if job.status is status]

    def record(self, endings: list[tuple[ModelJob, int, Outcome]]) -> None:
        with self.database.begin() as connection:
            ended = record(
                connection, [Ending(AttemptId(job.id, attempt), outcome) for job, attempt, outcome in endings]
            )
        assert ended == {(job.id, attempt) for job, attempt, outcome in endings if job.end(attempt, outcome)}

    @staticmethod
    def outcome(job: ModelJob, how: str) -> Outcome:
        error = JobError(Reason.EXCEPTION, "ValueError", "caf\udce9\0", job.attempt)
        match how:
            case "succeed":
                return Outcome.succeed(b"[1]")
            case "release":
                return Outcome.release()
            case "cancel":
                return Outcome.cancel(error)
            case "raise":
                policy = RetryPolicy(job.new.max_retries, 3600, 3600)
                delay = decide_retry(policy, job.retries, random=lambda: 0.5).delay
                return Outcome.fail(error) if delay is None else Outcome.retry_later(error, delay)
        return Outcome.fail(error)


@pytest.mark.timeout(600)  # a failure is shrunk for up to five minutes
def test_no_sequence_of_verbs_breaks_a_promise(database: Database) -> None:
    class Here(Transitions):
        def __init__(self) -> None:
            super().__init__(database)

    # Without the explain phase, which would trace every line of SQLAlchemy.
    phases = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
    play(Here, settings=settings(phases=phases))
