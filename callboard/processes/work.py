"""The work process of ``callboard up``: dispatcher, maintenance and worker in one process, which needs no broker."""

from __future__ import annotations

import dramatiq
import structlog

from callboard.actors.broker.opening import open_both
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.maintenance.duties import Maintenance
from callboard.actors.types.loading import load_job_types
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.processes.exit_codes import EXIT_DEFECT, EXIT_REPLACE
from callboard.processes.signals import StopSignal
from callboard.processes.worker import RunningWorker, WorkerOptions

_log = structlog.get_logger(__name__)


def run_work(settings: Settings, options: WorkerOptions) -> int:
    """Dispatch and work until SIGTERM; return the exit code."""
    stop = StopSignal()
    broker, transport = open_both(settings)
    dramatiq.set_broker(broker)
    registry = load_job_types(settings.job_modules, diagnostics=settings.diagnostics)
    database = Database(settings, role="dispatcher")
    worker = RunningWorker(settings, registry, broker, options, stop)
    dispatcher = Dispatcher(settings, database, transport)
    maintenance = Maintenance(settings, database)
    dispatcher.start()
    maintenance.start()
    _log.info("work_started", queues=worker.runtime.queues, threads=options.threads)
    try:
        while not stop.wait(1.0):
            if (defects := worker.runtime.defects()) or not dispatcher.alive:
                _log.error("process_defect", defects=defects, dispatcher_alive=dispatcher.alive)
                return EXIT_DEFECT
            if (reason := worker.runtime.replacement) is not None:
                # Jobs that wait need the new process: running jobs get no more time than at any other shutdown.
                _log.info("replacing_process", reason=reason)
                return EXIT_REPLACE
    finally:
        # First, as the worker is about to drain.
        dispatcher.stop()
        worker.stop()
        maintenance.stop()
        database.close()
        _log.info("work_stopped")
    return 0
