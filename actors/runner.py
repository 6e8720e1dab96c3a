"""One message, from claim to record: the part of a worker that runs jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from pydantic import ValidationError

from actors import decide
from actors.coroutines import CoroutineRunner
from actors.interrupts import Interrupter, JobInterrupted
from actors.progress import Progress, ProgressWriter
from actors.registry import JobType, Registry
from actors.run import AttemptRun
from actors.running import RunningAttempt, RunningAttempts
from db.batching import Batcher
from db.dispatch import notify_dispatcher
from db.engine import Database
from db.outcome import Outcome
from db.progress import ProgressReport, report_progress
from db.settings import Settings
from db.states import Status
from db.storage import Storage
from db.transitions import Claim, ClaimedJob, Ending, claim, record

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Record:
    """What is written at the end of an attempt."""

    ending: Ending
    last_report: ProgressReport | None


class Runner:
    """Runs jobs for the worker's threads. Claims and records of all threads are group-committed."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        database: Database,
        storage: Storage,
        running: RunningAttempts,
        progress_writer: ProgressWriter,
        identity: Callable[[], tuple[UUID, str]],
    ) -> None:
        """``identity``: the id and name that this worker process claims under now."""
        self._settings = settings
        self._registry = registry
        self._database = database
        self._storage = storage
        self._running = running
        self._progress_writer = progress_writer
        self._identity = identity
        self._coroutines = CoroutineRunner()
        # Without end: while the database is away the message stays unacknowledged and a result stays in memory.
        self._claims: Batcher[Claim, ClaimedJob | None] = Batcher("claim", self._write_claims, patience=None)
        self._records: Batcher[_Record, bool] = Batcher("record", self._write_records, patience=None)

    def run(self, job_id: UUID, attempt: int) -> None:
        """Run one attempt, if the job still waits for it; on return its outcome is durable.

        Raises:
            Unavailable: the process is shutting down and the database is away; the message goes back to the broker.
        """
        job = self._claims.submit(Claim(job_id, attempt)).result()
        if job is None:
            _log.debug("stale_message", job_id=str(job_id), attempt=attempt)
            return
        key = (job.id, job.attempt)
        self._running.hold(key)
        try:
            self._run_claimed(job)
        finally:
            self._running.drop(key)

    def close(self) -> None:
        """Write what is pending and stop the threads."""
        self._claims.close()
        self._records.close()
        self._coroutines.stop()

    def _run_claimed(self, job: ClaimedJob) -> None:
        progress = Progress(job.id, job.attempt)
        self._progress_writer.add(progress)
        try:
            outcome = self._outcome(job, progress)
        finally:
            last_report = self._progress_writer.last_report(progress)
        if outcome is None:
            _log.warning("lease_lost", job_id=str(job.id), job_type=job.type, attempt=job.attempt)
            return
        ours = self._records.submit(_Record(Ending(job.id, job.attempt, outcome), last_report)).result()
        if not ours:
            _log.warning("fenced_out", job_id=str(job.id), job_type=job.type, attempt=job.attempt)

    def _outcome(self, job: ClaimedJob, progress: Progress) -> Outcome | None:
        """Run the handler and return its outcome; None when the attempt is not ours any more."""
        if job.type not in self._registry:
            return decide.unknown_type(job)
        job_type = self._registry.get(job.type)
        try:
            payload = job_type.payload.validate_json(job.payload)
        except ValidationError as error:
            return decide.invalid_payload(job, error)
        interrupter = Interrupter()
        run = AttemptRun(job, interrupter, progress, self._database, self._storage)
        key = (job.id, job.attempt)
        self._running.handler_starts(key, RunningAttempt(interrupter, job.time_limit))
        try:
            value = interrupter.run(lambda: self._call(job_type, payload, run, interrupter))
        except BaseException as error:  # noqa: BLE001 - a handler may raise anything, and each has an outcome
            return self._after_error(job_type, job, interrupter, error)
        finally:
            self._running.handler_ended(key)
            run.close()
        return decide.after_return(job_type, job, value, max_result_bytes=self._settings.max_result_bytes)

    def _call(self, job_type: JobType, payload: object, run: AttemptRun, interrupter: Interrupter) -> object:
        called = job_type.call(payload, run)
        return self._coroutines.run(called, interrupter) if job_type.is_async else called

    def _after_error(
        self, job_type: JobType, job: ClaimedJob, interrupter: Interrupter, error: BaseException
    ) -> Outcome | None:
        context = {"job_id": str(job.id), "job_type": job.type, "attempt": job.attempt}
        if interrupter.reason is not None:
            _log.info("attempt_interrupted", reason=str(interrupter.reason), **context)
            return decide.after_interruption(job_type, job, interrupter.reason)
        if isinstance(error, JobInterrupted):
            # Raised by the handler itself; it means "stop me", and only a failure can say that.
            error = RuntimeError("The handler raised JobInterrupted, though nobody had asked it to stop.")
        outcome = decide.after_exception(job_type, job, error)
        _log.warning("attempt_failed", outcome=str(outcome.status), error=type(error).__name__, **context)
        return outcome

    def _write_claims(self, claims: Sequence[Claim]) -> Sequence[ClaimedJob | None]:
        worker_id, worker = self._identity()
        with self._database.autocommit() as connection:
            claimed = claim(connection, claims, worker_id=worker_id, worker=worker)
        # Of two messages with one claim, one runs.
        return [claimed.pop(each, None) for each in claims]

    def _write_records(self, records: Sequence[_Record]) -> Sequence[bool]:
        # A report and the ends of different attempts need not be one transaction; the report only has to come first.
        with self._database.autocommit() as connection:
            reports = [each.last_report for each in records if each.last_report is not None]
            report_progress(connection, reports)
            ended = record(connection, [each.ending for each in records])
        if any(each.ending.outcome.status in {Status.RETRYING, Status.QUEUED} for each in records):
            with self._database.begin() as connection:
                notify_dispatcher(connection)
        return [(each.ending.job_id, each.ending.attempt) in ended for each in records]
