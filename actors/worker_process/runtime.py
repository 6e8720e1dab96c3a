"""The parts of a worker process, started and stopped by a middleware of Dramatiq's worker.

It is the same in ``callboard worker``, ``dramatiq actors.worker`` and the embedded system. No job's state depends on a
hook: Dramatiq logs an exception of a hook and continues.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import Any
from uuid import UUID

import dramatiq
import structlog
from dramatiq import Broker, Middleware, Worker

from callboard.actors.broker.base import FALLBACK_ACTOR, JobBroker, JobMessage
from callboard.actors.execution.attempt_runner import AttemptRunner
from callboard.actors.execution.interrupts import Interruption
from callboard.actors.execution.progress_writer import ProgressWriter
from callboard.actors.execution.running_attempts import RunningAttempts, Watch
from callboard.actors.execution.unknown_types import UnknownTypes
from callboard.actors.metrics import THREADS
from callboard.actors.types.registry import Registry
from callboard.actors.worker_process.health import Health, JobCount
from callboard.actors.worker_process.heartbeat import Heartbeat
from callboard.db.files.storage import open_storage
from callboard.db.rules.attempts import AttemptId
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database

_log = structlog.get_logger(__name__)

# Seconds for handlers to end after they were interrupted at shutdown.
_INTERRUPT_GRACE = 5.0
_TICK = 0.05


class WorkerRuntime(Middleware):
    """Registers the worker, runs its jobs, and lets them end when it shuts down."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        *,
        name: str | None = None,
        max_jobs: int | None = None,
        max_memory: int | None = None,
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            name: the worker's name for operators; host and pid if None.
            max_jobs: jobs after which, about, the process asks to be replaced; None for no limit.
            max_memory: bytes of resident memory above which it asks to be replaced; None for no limit.
            hurried: returns whether to interrupt jobs at shutdown without waiting for ``shutdown_grace``.
        """
        self._settings = settings
        self._hurried = hurried
        self._registry = registry
        self._name = name
        self._database = Database(settings, role="worker")
        self._running = RunningAttempts()
        self._progress = ProgressWriter(self._database, interval=settings.progress_interval)
        self._watch = Watch(
            self._running,
            self._database,
            check_interval=settings.stop_check_interval,
            lease_over=lambda: self._heartbeat is not None and self._heartbeat.lease_over,
        )
        self._heartbeat: Heartbeat | None = None
        self._health: Health | None = None
        self._job_count = JobCount(self._running, max_jobs)
        self._max_memory = max_memory
        self._runner = AttemptRunner(
            settings,
            registry,
            self._database,
            open_storage(settings),
            self._running,
            self._progress,
            self._identity,
        )
        self._unknown_types = UnknownTypes(self._database, grace=settings.unknown_type_grace)
        self._broker: JobBroker | None = None
        self._worker: Worker | None = None

    @property
    def idle(self) -> bool:
        """Whether no job runs or waits in this process's memory."""
        return not self._running and (self._worker is None or self._worker.work_queue.unfinished_tasks == 0)

    @property
    def queues(self) -> list[str]:
        """The queues that this worker consumes."""
        worker = self._worker
        if worker is None:
            return []
        declared = set(worker.broker.get_declared_queues())
        return sorted(declared & worker.consumer_whitelist if worker.consumer_whitelist else declared)

    def declare(self, broker: JobBroker) -> None:
        """Declare one actor for each job type, and one for unknown types.

        To be called once the job types are loaded: their modules may have set up Dramatiq middleware.
        """
        broker.add_late_middleware()
        # Those of the job modules: ours replace the adopted ones, and no message is for the others, though a new job
        # type may have the name of one.
        broker.actors.clear()
        for job_type in self._registry:
            options = {"throws": job_type.throws, **job_type.actor_options}
            _declare_actor(broker, job_type.name, job_type.queue, self._run, **options)
        _declare_actor(broker, FALLBACK_ACTOR, next(iter(self._registry)).queue, self._unknown_types.set_aside)

    @property
    def replacement(self) -> str | None:
        """Why this process should be replaced when its jobs are done, or None."""
        return self._running.replacement

    def take_no_more(self) -> None:
        """Drain: take no more jobs, for good. Running jobs go on. Callable from any thread, and repeatedly."""
        if self._worker is None or self._heartbeat is None or self._broker is None:
            return
        self._heartbeat.drain()
        self._broker.drain()
        for thread in self._worker.workers:
            thread.stop()

    def drained(self) -> bool:
        """After :meth:`take_no_more`: requeue messages that were not started; return whether no job runs any more."""
        if self._worker is None:
            return True
        with suppress(Empty):
            while True:
                message = self._worker.work_queue.get_nowait().message
                assert isinstance(message, JobMessage)  # noqa: S101 (our brokers make no others)
                message.requeue()
        lost = self._running.lost_threads
        return not self._running and not any(
            thread.is_alive() and thread.ident not in lost for thread in self._worker.workers
        )

    def defects(self) -> list[str]:
        """Return the parts that have died or are stuck. If any, replace the process, even if jobs are lost."""
        return [] if self._health is None else self._health.defects()

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        assert isinstance(broker, JobBroker)  # noqa: S101 (see declare())
        self._broker = broker
        self._worker = worker
        # As many as run: messages taken ahead would wait behind running jobs while other workers may be idle, and go
        # before jobs of higher priority that come later. Claims overlap with the ends of jobs in other threads.
        worker.queue_prefetch = self._settings.worker_prefetch or worker.worker_threads
        self._heartbeat = heartbeat = Heartbeat(
            self._database,
            self._running,
            name=self._name,
            queues=self.queues,
            types=[job_type.name for job_type in self._registry],
            threads=worker.worker_threads,
            interval=self._settings.heartbeat_interval,
            lease_ttl=self._settings.lease_ttl,
        )
        THREADS.set(worker.worker_threads)
        self._heartbeat.start()
        self._progress.start()
        self._watch.start()
        self._health = Health(
            worker,
            broker,
            self._running,
            parts={
                "heartbeat": lambda: heartbeat.alive,
                "watch": lambda: self._watch.alive,
                "progress": lambda: self._progress.alive,
                "attempt writer": lambda: self._runner.alive,
            },
            registered=lambda: heartbeat.registered,
            max_memory=self._max_memory,
        )

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        if self._health is not None:  # all threads have been started by now
            self._health.start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        """Drain, and interrupt jobs that do not end within ``shutdown_grace``."""
        self.take_no_more()
        give_up_at = time.monotonic() + self._settings.shutdown_grace
        while not self.drained() and time.monotonic() < give_up_at and not self._hurried():
            time.sleep(_TICK)
        if self.drained():
            return
        _log.info("shutdown_interrupts", jobs=len(self._running))
        give_up_at = time.monotonic() + _INTERRUPT_GRACE
        while not self.drained() and time.monotonic() < give_up_at:
            self._running.interrupt_all(Interruption.SHUTDOWN)
            time.sleep(_TICK)

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        if self._health is not None:
            self._health.stop()
        self._watch.stop()
        self._progress.stop()
        self._runner.close()
        if self._heartbeat is not None:
            self._heartbeat.stop(ended=not self._running)
        self._database.close()

    def _identity(self) -> tuple[UUID, str]:
        if self._heartbeat is None:
            raise RuntimeError("The worker has not booted.")
        return self._heartbeat.identity

    def _run(self, job_id: str, attempt: int) -> None:
        try:
            failure = self._runner.run(AttemptId(UUID(job_id), attempt))
        except Exception as error:
            # Dramatiq's own line is off: it would repeat that of each attempt that fails.
            _log.error("attempt_not_run", job_id=job_id, attempt=attempt, error=repr(error), exc_info=True)
            raise
        self._job_count.one_more()
        if self._running.replacement is not None:
            self.take_no_more()
        if failure is not None:
            raise failure  # which Dramatiq passes to after_process_message of all middleware


def _declare_actor(broker: JobBroker, name: str, queue: str, run: Callable[[str, int], None], **options: Any) -> None:
    known = {option: value for option, value in options.items() if option in broker.actor_options}
    dramatiq.actor(actor_name=name, queue_name=queue, broker=broker, **known)(run)
