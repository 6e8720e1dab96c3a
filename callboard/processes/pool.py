"""``callboard worker``: worker processes under a supervisor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from callboard.actors.broker.amqp import Rabbitmq
from callboard.db.files.storage import open_storage
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.processes.deaths import report_death
from callboard.processes.job_types import JobTypesTrial
from callboard.processes.metrics import MetricsAddress, metrics_of_children
from callboard.processes.signals import StopSignal
from callboard.processes.supervisor import ChildSpec, Supervisor


def run_workers(
    settings: Settings, workers: Sequence[Mapping[str, Any]], stop: StopSignal, *, metrics: MetricsAddress | None = None
) -> int:
    """Keep worker processes running until ``stop``, or in burst mode until no job is due; return the exit code.

    Args:
        settings: of this process; the workers load their own.
        workers: options (of ``WorkerOptions``) of each process.
        stop: ends them.
        metrics: address to serve the metrics of all of them on.

    Raises:
        ConfigurationError: a setting or job type is wrong. Found here, and not by children that die again and again.
    """
    Rabbitmq.from_settings(settings)
    open_storage(settings)
    with JobTypesTrial({}) as trial:
        if trial.queues(stop) is None:
            return 0
    database = Database(settings, role="supervisor", pool_size=1)
    try:
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
