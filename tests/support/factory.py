"""Jobs in any state, made with the verbs that make them in earnest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import text, update

from callboard.db.dispatching.queues import ensure_queues
from callboard.db.fleet.workers import WorkerBoot, register_worker
from callboard.db.models import jobs
from callboard.db.rules.ids import new_id
from callboard.db.rules.outcome import JobError, Outcome
from callboard.db.rules.states import Reason, Status
from callboard.db.sql.engine import Database
from callboard.db.transitions import (
    AttemptId,
    ClaimedJob,
    Ending,
    NewJob,
    SubmissionRequest,
    cancel,
    claim,
    expire,
    record,
    submit,
)
from tests.support.clock import make_overdue

QUEUE = "default"


class Factory:
    """Makes jobs and workers in one database. Attempts run on a worker of its own where none is named."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._worker: UUID | None = None

    def new_job(self, **changes: Any) -> NewJob:
        """Return a job to submit."""
        job = NewJob(
            id=new_id(),
            type="test.job",
            queue=QUEUE,
            owner="owner",
            payload=b'{"n": 1}',
            priority=5,
            max_retries=3,
            time_limit=60.0,
        )
        return replace(job, **changes)

    def submit(self, **changes: Any) -> UUID:
        """Submit one job; its id."""
        return self.submit_all(self.new_job(**changes))[0]

    def submit_all(self, *new: NewJob) -> list[UUID]:
        """Submit jobs in one request; their ids."""
        with self._database.begin() as connection:
            ensure_queues(connection, {job.queue for job in new})
            return list(submit(connection, [SubmissionRequest(new)])[0].job_ids)

    def worker(self, name: str = "host-1") -> UUID:
        """Register a worker process; the id of its boot."""
        boot = WorkerBoot(new_id(), name, host="host", pid=1, version="0", queues=[QUEUE], threads=1)
        with self._database.begin() as connection:
            register_worker(connection, boot)
        return boot.id

    def claim(self, job_id: UUID, attempt: int = 1, *, worker_id: UUID | None = None) -> ClaimedJob:
        """Start an attempt of a queued job."""
        worker_id = worker_id or self._own_worker()
        wanted = AttemptId(job_id, attempt)
        with self._database.begin() as connection:
            return claim(connection, [wanted], worker_id=worker_id, worker="host-1")[wanted]

    def end(self, claimed: ClaimedJob, outcome: Outcome) -> None:
        """End an attempt that runs."""
        ending = Ending(claimed.attempt_id, outcome)
        with self._database.begin() as connection:
            assert record(connection, [ending]) == {(claimed.id, claimed.attempt)}

    def in_state(self, status: Status, **changes: Any) -> UUID:
        """Make a job in that state, in its first attempt; its id."""
        match status:
            case Status.QUEUED:
                return self.submit(**changes)
            case Status.SCHEDULED:
                return self.submit(**{"delay": 3600.0, **changes})
            case Status.BLOCKED:
                return self._blocked(**changes)
            case Status.RUNNING:
                return self.claim(self.submit(**changes)).id
            case Status.EXPIRED:
                return self._expired(**changes)
            case Status.CANCELLED:
                job_id = self.submit(**changes)
                with self._database.begin() as connection:
                    assert cancel(connection, job_id)
                return job_id
            case Status.SUCCEEDED | Status.FAILED | Status.RETRYING:
                job_id = self.submit(**changes)
                self.end(self.claim(job_id), OUTCOMES[status])
                return job_id

    def _blocked(self, **changes: Any) -> UUID:
        # No verb blocks a job yet.
        job_id = self.submit(**changes)
        with self._database.begin() as connection:
            blocked = {"status": Status.BLOCKED, "due_at": text("'infinity'")}
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(blocked))
        return job_id

    def _expired(self, **changes: Any) -> UUID:
        job_id = self.submit(**changes)
        make_overdue(self._database, job_id)
        with self._database.begin() as connection:
            expire(connection)
        return job_id

    def _own_worker(self) -> UUID:
        if self._worker is None:
            self._worker = self.worker()
        return self._worker


ERROR = JobError(Reason.EXCEPTION, "ValueError", "no such thing", attempt=1, traceback="Traceback …")
OUTCOMES = {
    Status.SUCCEEDED: Outcome.succeed(b'{"answer": 42}'),
    Status.FAILED: Outcome.fail(ERROR),
    Status.RETRYING: Outcome.retry_later(ERROR, delay=3600.0),
    Status.QUEUED: Outcome.release(),
    Status.CANCELLED: Outcome.cancel(replace(ERROR, reason=Reason.CANCELLED)),
}
"""How an attempt may end, by what becomes of the job."""
