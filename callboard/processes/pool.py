"""``callboard worker``: worker processes under a supervisor."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from callboard.actors.broker.amqp import Rabbitmq
from callboard.db.dispatching.queues import queue_names
from callboard.db.errors import ConfigurationError, Unavailable
from callboard.db.files.storage import open_storage
from callboard.db.rules.spelling import did_you_mean
from callboard.db.schema.suitability import require_suitable
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.processes.deaths import report_death
from callboard.processes.job_types import JobTypesTrial
from callboard.processes.metrics import MetricsAddress, metrics_of_children
from callboard.processes.signals import StopSignal
from callboard.processes.supervisor import ChildSpec, Supervisor


def run_workers(
    settings: Settings,
    workers: Sequence[Mapping[str, Any]],
    stop: StopSignal,
    *,
    new_queues: bool = False,
    metrics: MetricsAddress | None = None,
) -> int:
    """Keep worker processes running until ``stop``, or in burst mode until no job is due; return the exit code.

    Args:
        settings: of this process; the workers load their own.
        workers: options (of ``WorkerOptions``) of each process.
        stop: ends them.
        new_queues: whether the workers may make queues that there are not yet.
        metrics: address to serve the metrics of all of them on.

    Raises:
        ConfigurationError: a setting, job type or queue is wrong, or the database is not suitable. Found here, and not
            by children that die again and again.
    """
    Rabbitmq.from_settings(settings)
    open_storage(settings)
    with JobTypesTrial({}, built_in=True) as trial:
        known = trial.queues(stop)
    if known is None:
        return 0
    require_suitable(settings)
    database = Database(settings, role="supervisor", pool_size=1)
    try:
        if not new_queues:
            _require_queues({queue for options in workers for queue in options["queues"]}, known, database)
        with metrics_of_children(metrics, workers=len(workers), hang_after=settings.hang_after) as child_metrics:

            def died(_: ChildSpec, pid: int) -> None:
                if child_metrics is not None:
                    child_metrics.died(pid)
                report_death(database, pid)

            supervisor = Supervisor(
                [
                    ChildSpec(options["name"] or f"worker {number}", "worker", options)
                    for number, options in enumerate(workers, 1)
                ],
                environment=child_metrics.environment if child_metrics is not None else None,
                grace=settings.shutdown_grace + 10,
                hang_after=settings.hang_after,
                died=died,
                until_done=any(options["burst"] for options in workers),
            )
            return supervisor.run(stop)
    finally:
        database.close()


def _require_queues(wanted: Collection[str], known: Collection[str], database: Database) -> None:
    """Return if all queues exist: a misspelt one would be made, and a worker idle.

    Args:
        wanted: the queues of the workers.
        known: those of job types.
        database: which may have others.

    Raises:
        ConfigurationError: one does not exist, or the database is away and no job type has it.
    """
    unknown = set(wanted) - set(known)
    if not unknown:
        return
    try:
        with database.begin() as connection:
            unknown -= queue_names(connection)
    except Unavailable as error:
        raise ConfigurationError(f"Queue {min(unknown)!r} is of no job type, and may be unknown: {error}") from error
    for queue in sorted(unknown):
        raise ConfigurationError(
            f"There is no queue {queue!r}.{did_you_mean(queue, known)} The job types have: {', '.join(known)}. To make "
            "one for jobs that are submitted to it, add --new-queues."
        )
