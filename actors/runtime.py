"""What a worker process is made of, hung into Dramatiq's worker as a middleware.

The same for ``callboard worker``, ``dramatiq actors.worker`` and the embedded system. The hooks start and stop things;
no job's state depends on one (Dramatiq logs what a hook raises and goes on).
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import dramatiq
import structlog
from dramatiq import Broker, Middleware, Worker

from actors.broker import FALLBACK_ACTOR, JobBroker
from actors.heartbeat import Heartbeat
from actors.interrupts import Interruption
from actors.metrics import THREADS
from actors.progress import ProgressWriter
from actors.registry import Registry
from actors.runner import Runner
from actors.running import RunningAttempts, Watch
from db.engine import Database
from db.settings import Settings
from db.storage import open_storage

_log = structlog.get_logger(__name__)

# How long handlers have to end after they were interrupted at shutdown.
_INTERRUPT_GRACE = 5.0


class WorkerRuntime(Middleware):
    """Registers the worker, runs its jobs, and lets them end when it shuts down."""

    def __init__(self, settings: Settings, registry: Registry, *, name: str | None = None) -> None:
        """``name``: what operators see of this worker; host and pid if None."""
        self._settings = settings
        self._registry = registry
        self._name = name
        self._database = Database(settings, role="worker")
        self._running = RunningAttempts()
        self._progress = ProgressWriter(self._database, interval=settings.progress_interval)
        self._watch = Watch(self._running, self._database, check_interval=settings.stop_check_interval)
        self._heartbeat: Heartbeat | None = None
        self._runner = Runner(
            settings,
            registry,
            self._database,
            open_storage(settings),
            self._running,
            self._progress,
            self._identity,
        )
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
        """Give the broker one actor for each job type, and one for the types that it does not know."""
        for job_type in self._registry:
            _declare_actor(broker, job_type.name, job_type.queue, self._run)
        _declare_actor(broker, FALLBACK_ACTOR, next(iter(self._registry)).queue, self._run)

    def dead_threads(self) -> list[str]:
        """Return the names of threads that ended though the worker runs: it should be replaced."""
        if self._worker is None:
            return []
        threads = [*self._worker.workers, *self._worker.consumers.values()]
        return [thread.name for thread in threads if not thread.is_alive()]

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq calls it
        self._worker = worker
        # As many as run: what is taken ahead waits behind running jobs while other workers may be idle, and hides from
        # priorities that come later. The claim of the next job overlaps with the end of this one in other threads.
        worker.queue_prefetch = self._settings.worker_prefetch or worker.worker_threads
        self._heartbeat = Heartbeat(
            self._database,
            self._running,
            name=self._name,
            queues=self.queues,
            threads=worker.worker_threads,
            interval=self._settings.heartbeat_interval,
            lease_ttl=self._settings.lease_ttl,
        )
        THREADS.set(worker.worker_threads)
        self._heartbeat.start()
        self._progress.start()
        self._watch.start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
        """Take no more jobs, let those that run end, interrupt those that do not."""
        if self._heartbeat is not None:
            self._heartbeat.drain()
        for thread in worker.workers:
            thread.stop()
        if not self._running.wait_until_none(self._settings.shutdown_grace):
            _log.info("shutdown_interrupts", jobs=len(self._running))
            self._running.interrupt_all(Interruption.SHUTDOWN)
            self._running.wait_until_none(_INTERRUPT_GRACE)

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002
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
        self._runner.run(UUID(job_id), attempt)


def _declare_actor(broker: JobBroker, name: str, queue: str, run: Callable[[str, int], None]) -> None:
    # An adopted Dramatiq actor has put itself under this name when its module was imported; ours takes its place.
    broker.actors.pop(name, None)
    dramatiq.actor(actor_name=name, queue_name=queue, broker=broker)(run)
