"""The entry point of ``dramatiq actors.worker``: importing it reads the settings and sets Dramatiq's broker.

``callboard worker`` starts the same worker, under a supervisor that replaces processes that die.
"""

from __future__ import annotations

import sys

import dramatiq

from callboard.actors.broker.opening import open_broker
from callboard.actors.types.loading import load_job_types
from callboard.actors.worker_process.runtime import WorkerRuntime
from callboard.db.errors import CallboardError
from callboard.db.logs import configure_logs
from callboard.db.settings import load_settings

try:
    settings = load_settings()
    configure_logs(settings)
    broker = open_broker(settings)
    # Before the job modules are imported: their own actors bind to the broker that is set by then.
    dramatiq.set_broker(broker)
    runtime = WorkerRuntime(settings, load_job_types(settings.job_modules, diagnostics=settings.diagnostics))
    broker.add_middleware(runtime)
    runtime.declare(broker)
except CallboardError as error:
    # Dramatiq, too, ends with 2 when it cannot import what it is to run.
    sys.stderr.write(f"Error: {error}\n")
    sys.exit(2)
