"""A dispatcher process: dispatch and maintenance, until SIGTERM."""

from __future__ import annotations

import structlog

from callboard.actors.broker.opening import open_transport
from callboard.actors.dispatch.dispatcher import Dispatcher
from callboard.actors.dispatch.metrics import REGISTRY
from callboard.actors.maintenance.duties import Maintenance
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database
from callboard.processes.metrics import MetricsAddress, serving_metrics
from callboard.processes.probes import dispatcher_probes
from callboard.processes.signals import StopSignal
from callboard.processes.supervisor import EXIT_DEFECT

_log = structlog.get_logger(__name__)


def run_dispatcher(settings: Settings, *, metrics: MetricsAddress | None = None) -> int:
    """Dispatch until SIGTERM; return the exit code. Any number may run side by side.

    ``metrics``: address to serve metrics and probes on.

    Raises:
        ConfigurationError: a setting is wrong, or the address of the metrics cannot be bound.
    """
    stop = StopSignal()
    database = Database(settings, role="dispatcher")
    dispatcher = Dispatcher(settings, database, open_transport(settings))
    maintenance = Maintenance(settings, database)
    dispatcher.start()
    maintenance.start()
    _log.info("dispatcher_started")
    try:
        with serving_metrics(metrics, REGISTRY, dispatcher_probes(dispatcher)):
            while not stop.wait(1.0):
                if not dispatcher.alive:
                    return EXIT_DEFECT
    finally:
        dispatcher.stop()
        maintenance.stop()
        database.close()
        _log.info("dispatcher_stopped")
    return 0
