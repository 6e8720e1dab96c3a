"""``callboard worker``: worker processes under a supervisor."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from callboard.actors.broker.opening import open_broker
from callboard.actors.types.registry import load_job_types
from callboard.db.errors import CallboardError
from callboard.db.fleet.workers import declare_dead
from callboard.db.schema.suitability import require_suitable
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.processes.metrics import MetricsAddress, metrics_of_children
from callboard.processes.signals import StopSignal
from callboard.processes.supervisor import ChildSpec, Supervisor

_log = structlog.get_logger(__name__)


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
        ConfigurationError: a setting or job type is wrong, or the database is not suitable. Found here, and not by
            children that die again and again.
    """
    load_job_types(settings.job_modules, diagnostics=settings.diagnostics)
    open_broker(settings)  # checks its settings, and connects to nothing
    require_suitable(settings)
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


def report_death(database: Database, pid: int) -> None:
    """Declare the worker of a process that has ended lost. Its jobs then need not wait for the end of its lease."""
    try:
        with database.begin() as connection:
            declare_dead(connection, host=platform.node(), pid=pid)
    except CallboardError as error:
        _log.warning("death_not_reported", pid=pid, reason=str(error))
