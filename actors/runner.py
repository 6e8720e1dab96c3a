"""One message, from claim to record: the part of a worker that runs jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

import structlog
from pydantic import ValidationError

from actors import decide
from actors.coroutines import CoroutineRunner
from actors.interrupts import Interrupter, JobInterrupted
from actors.journal import Journal
from actors.metrics import ATTEMPT_DURATION, BUSY_THREADS
from actors.progress import Progress, ProgressWriter
from actors.registry import JobType, Registry
from actors.run import AttemptRun
from actors.running import RunningAttempt, RunningAttempts
from db.engine import Database
from db.outcome import Outcome
from db.settings import Settings
from db.states import AttemptOutcome
from db.storage import Storage
from db.transitions import Claim, ClaimedJob, Ending

_log = structlog.get_logger(__name__)


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
        self._coroutines = CoroutineRunner()
        self._journal = Journal(database, identity)

    def run(self, job_id: UUID, attempt: int) -> None:
        """Run one attempt, if the job still waits for it; on return its outcome is durable.

        Raises:
            Unavailable: the process is shutting down and the database is away; the message goes back to the broker.
        """
        job = self._journal.start(Claim(job_id, attempt))
        if job is None:
            _log.debug("stale_message", job_id=str(job_id), attempt=attempt)
            return
        key = (job.id, job.attempt)
        self._running.hold(key)
        try:
            with BUSY_THREADS.track_inprogress():
                begun = time.monotonic()
                ended = self._run_claimed(job)
                ATTEMPT_DURATION.labels(job.type, ended or "lost").observe(time.monotonic() - begun)
        finally:
            self._running.drop(key)

    def close(self) -> None:
        """Write what is pending and stop the threads."""
        self._journal.close()
        self._coroutines.stop()

    def _run_claimed(self, job: ClaimedJob) -> AttemptOutcome | None:
        """Run the attempt and record how it ended; None when it was not ours any more."""
        progress = Progress(job.id, job.attempt)
        self._progress_writer.add(progress)
        try:
            outcome = self._outcome(job, progress)
        finally:
            last_report = self._progress_writer.last_report(progress)
        if outcome is None:
            _log.warning("lease_lost", job_id=str(job.id), job_type=job.type, attempt=job.attempt)
            return None
        if not self._journal.end(Ending(job.id, job.attempt, outcome), last_report):
            _log.warning("fenced_out", job_id=str(job.id), job_type=job.type, attempt=job.attempt)
            return None
        return outcome.attempt

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
