"""Runs an attempt in a worker: from the message to the record of its outcome."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from functools import partial
from uuid import UUID

import structlog

from callboard.actors.execution import attempt_log, decide
from callboard.actors.execution.attempt_writer import AttemptWriter, Recorded
from callboard.actors.execution.coroutines import CoroutineRunner
from callboard.actors.execution.failures import failure_of
from callboard.actors.execution.forked_copy import fenced
from callboard.actors.execution.handler import run_handler
from callboard.actors.execution.handler_run import HandlerRun, log_fields
from callboard.actors.execution.interrupts import Interrupter, StopRequest
from callboard.actors.execution.isolation.isolated_attempt import IsolatedAttempt
from callboard.actors.execution.isolation.pool import ProcessPool
from callboard.actors.execution.process_state import ProcessState
from callboard.actors.execution.progress import Progress
from callboard.actors.execution.progress_writer import ProgressWriter
from callboard.actors.execution.running_attempts import RunningAttempt, RunningAttempts
from callboard.actors.execution.worker_services import WorkerServices
from callboard.actors.metrics import BUSY_THREADS
from callboard.actors.types.registry import JobType, Registry
from callboard.db.files.storage import Storage
from callboard.db.rules.attempts import ProgressReport
from callboard.db.rules.exceptions import describe
from callboard.db.rules.outcome import Outcome
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database, reason_of
from callboard.db.transitions import AttemptId, ClaimedJob, Ending

_log = structlog.get_logger(__name__)


class AttemptRunner:
    """Runs attempts for the worker's threads. Claims and records of all threads are group-committed."""

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
        """``identity``: returns the id and name under which this worker process claims now."""
        self._settings = settings
        self._registry = registry
        self._database = database
        self._storage = storage
        self._running = running
        self._progress_writer = progress_writer
        self._coroutines = CoroutineRunner()
        self._process_state = ProcessState()
        self._processes = ProcessPool(settings, self._process_state)
        self._attempt_writer = AttemptWriter(database, identity)

    def run(self, attempt_id: AttemptId) -> BaseException | None:
        """Run one attempt, if the job still waits for it. On return its outcome is being written.

        Returns the exception of an attempt that has failed, for Dramatiq's middleware.

        The caller may acknowledge the message: after the claim the row decides, and a second message would be stale.

        Raises:
            Unavailable: the process is shutting down and the database is away; the message is requeued.
        """
        job = self._attempt_writer.start(attempt_id)
        if job is None:
            _log.debug("stale_message", job_id=str(attempt_id.job_id), attempt=attempt_id.number)
            return None
        attempt_log.started(job)
        raised: list[BaseException] = []
        self._running.hold(job.attempt_id)
        with BUSY_THREADS.track_inprogress():
            begun = time.monotonic()
            progress = Progress(job.attempt_id)
            self._progress_writer.add(progress)
            try:
                outcome = self._outcome(job, progress, raised.append)
            except BaseException as error:  # noqa: BLE001 - an attempt without an outcome would run again for ever
                outcome = decide.without_decision(job, error)
                _log.error("attempt_not_decided", error=str(describe(error)), **log_fields(job))
            if self._running.handler_ended(job.attempt_id):
                self._record(job, progress, outcome, begun)
            else:
                _log.warning("given_up_handler_ended", **log_fields(job))
        return failure_of(outcome, raised[0] if raised else None)

    @property
    def alive(self) -> bool:
        """Whether the thread that claims and records runs."""
        return self._attempt_writer.alive

    def close(self) -> None:
        """Write pending records and stop the threads."""
        self._attempt_writer.close()
        self._coroutines.stop()
        self._processes.close()

    def _outcome(self, job: ClaimedJob, progress: Progress, on_exception: Callable[[BaseException], None]) -> Outcome:
        """Run the handler and return its outcome."""
        if job.type not in self._registry:
            return decide.unknown_type(job)
        job_type = self._registry.get(job.type)
        if job_type.isolation == "process":
            return self._outcome_of_process(job_type, job, progress)
        interrupter = Interrupter()
        services = WorkerServices(job, interrupter, self._database, self._storage)
        run = HandlerRun(job, interrupter, progress, services)
        give_up = partial(self._give_up, job_type, job, progress, interrupter, time.monotonic())
        self._running.handler_starts(job.attempt_id, RunningAttempt(interrupter, job.time_limit, give_up))
        try:
            return fenced(partial(
                run_handler, job_type, job, run, interrupter, self._coroutines,
                max_result_bytes=self._settings.max_result_bytes, on_exception=on_exception,
            ))  # fmt: skip
        finally:
            services.close()
            self._restore_process(job)

    def _restore_process(self, job: ClaimedJob) -> None:
        changed, lasting = self._process_state.restore()
        if changed:
            beside = len(self._running.handlers()) - 1
            _log.warning("process_state_changed", changed=changed, lasting=lasting, beside=beside, **log_fields(job))

    def _outcome_of_process(self, job_type: JobType, job: ClaimedJob, progress: Progress) -> Outcome:
        attempt = IsolatedAttempt(self._processes, job_type, job)
        # The start of a process can be stopped, too, but does not count against the time limit.
        self._running.handler_starts(job.attempt_id, RunningAttempt(attempt.stop, math.inf, attempt.stop.kill))
        if (outcome := attempt.begin()) is not None:
            return outcome
        services = WorkerServices(job, attempt.stop, self._database, self._storage)
        self._running.handler_starts(job.attempt_id, RunningAttempt(attempt.stop, job.time_limit, attempt.stop.kill))
        try:
            return attempt.outcome(services, progress)
        finally:
            services.close()

    def _give_up(self, job_type: JobType, job: ClaimedJob, progress: Progress, stop: StopRequest, begun: float) -> None:
        """Record the end of an attempt whose thread hangs, and have this process replaced."""
        if stop.reason is None or not self._running.give_up(job.attempt_id):
            return
        outcome = decide.after_interruption(job_type, job, stop.reason)
        _log.error("handler_hangs", reason=str(stop.reason), **log_fields(job))
        self._running.replace_process(f"a handler of {job.type!r} hangs in its thread")
        # In a thread: it may wait for a report to be written, and the caller has other attempts to watch.
        threading.Thread(target=self._record, args=(job, progress, outcome, begun), name="record", daemon=True).start()

    def _record(self, job: ClaimedJob, progress: Progress, outcome: Outcome, begun: float) -> None:
        """Have the outcome recorded, unless the attempt was fenced out. It is held until then."""
        attempt_log.failed(job, outcome)
        self._write(job, outcome, self._progress_writer.last_report(progress), begun)

    def _write(self, job: ClaimedJob, outcome: Outcome, last_report: ProgressReport | None, begun: float) -> None:
        def then(recorded: Recorded) -> None:
            if recorded.refused is not None:
                reason = reason_of(recorded.refused)
                # Perhaps for the values of the report: first the outcome goes without it.
                plain = outcome if last_report is not None else decide.refused(job, outcome, reason)
                if last_report is not None or plain != outcome:
                    _log.error("outcome_refused", reason=reason, **log_fields(job))
                    self._write(job, plain, None, begun)
                    return
            if recorded.error is not None:
                _log.error("attempt_not_recorded", error=repr(recorded.error), **log_fields(job))
            elif not recorded.ours:
                _log.warning("fenced_out", **log_fields(job))
            self._running.drop(job.attempt_id)
            attempt_log.ended(job, outcome, recorded, seconds=time.monotonic() - begun)

        self._attempt_writer.end(Ending(job.attempt_id, outcome), last_report, then)
