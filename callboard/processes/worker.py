"""A worker process: Dramatiq's worker with Callboard's runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dramatiq
import structlog
from dramatiq import Worker

from callboard.actors.broker.base import JobBroker
from callboard.actors.broker.opening import open_broker
from callboard.actors.types.loading import load_job_types
from callboard.actors.types.registry import Registry
from callboard.actors.worker_process.runtime import WorkerRuntime
from callboard.db.dispatching.due import anything_due
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.processes.exit_codes import EXIT_DEFECT, EXIT_REPLACE
from callboard.processes.signals import StopSignal

_log = structlog.get_logger(__name__)

_POLL_INTERVAL = 0.5


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Options of ``callboard worker``. No queues: those of all job types."""

    queues: Sequence[str] = ()
    threads: int = 8
    name: str | None = None
    burst: bool = False
    max_jobs: int | None = None
    """Jobs after which, about, the process is replaced; None for no limit."""
    max_memory: int | None = None
    """Bytes of resident memory above which the process is replaced; None for no limit."""


class RunningWorker:
    """A started worker of this process."""

    def __init__(
        self, settings: Settings, registry: Registry, broker: JobBroker, options: WorkerOptions, stop: StopSignal
    ) -> None:
        """``stop``: its second signal ends the ``shutdown_grace`` of :meth:`stop`."""
        self._runtime = WorkerRuntime(
            settings,
            registry,
            name=options.name,
            max_jobs=options.max_jobs,
            max_memory=options.max_memory,
            hurried=lambda: stop.hurried,
        )
        broker.add_middleware(self._runtime)
        self._runtime.declare(broker)
        for queue in options.queues:
            broker.declare_queue(queue)
        # Milliseconds of a poll without a message; also until a thread notices that it is to stop.
        self._worker = Worker(
            broker, queues=set(options.queues) or None, worker_threads=options.threads, worker_timeout=250
        )
        broker.emit_after("process_boot")
        self._worker.start()
        self._settings = settings
        self._broker = broker

    @property
    def runtime(self) -> WorkerRuntime:
        return self._runtime

    def stop(self) -> None:
        """Drain within ``shutdown_grace``, then release the jobs that still run."""
        self._worker.stop(timeout=1000)
        self._broker.close()


def run_worker(settings: Settings, options: WorkerOptions) -> int:
    """Run a worker until SIGTERM; return the exit code.

    With ``burst``, return 0 once no job in its queues is due.
    """
    stop = StopSignal()
    broker = open_broker(settings)
    dramatiq.set_broker(broker)
    registry = load_job_types(settings.job_modules, diagnostics=settings.diagnostics)
    worker = RunningWorker(settings, registry, broker, options, stop)
    _log.info("worker_started", queues=worker.runtime.queues, threads=options.threads)
    try:
        return _until_done(settings, worker.runtime, stop, burst=options.burst)
    finally:
        worker.stop()
        _log.info("worker_stopped")


def _until_done(settings: Settings, runtime: WorkerRuntime, stop: StopSignal, *, burst: bool) -> int:
    database = Database(settings, role="worker burst", pool_size=1) if burst else None
    try:
        while not stop.wait(_POLL_INTERVAL):
            if defects := runtime.defects():
                _log.error("process_defect", defects=defects)
                return EXIT_DEFECT
            if (reason := runtime.replacement) is not None:
                _log.info("replacing_process", reason=reason)
                runtime.take_no_more()
                while not runtime.drained() and not stop.wait(_POLL_INTERVAL):
                    pass  # running jobs get all the time that they need
                return EXIT_REPLACE
            if database is not None and runtime.idle:
                with database.begin() as connection:
                    due = anything_due(connection, runtime.queues)
                if not due:
                    return 0
        return 0
    finally:
        if database is not None:
            database.close()
