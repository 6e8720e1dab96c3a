"""``python -m callboard.processes.child ROLE PARENT WATCHDOG OPTIONS``: a process under a supervisor.

Until the import path is settled, only the standard library and what needs nothing else is imported.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from callboard.actors.types.import_path import settle_import_path
from callboard.db.errors import CallboardError
from callboard.processes.exit_codes import EXIT_REFUSED
from callboard.processes.sessions import end_session
from callboard.processes.signals import stop_with_parent
from callboard.processes.watchdog import feeding_watchdog

if TYPE_CHECKING:
    from callboard.db.settings import Settings


def _run(role: str, settings: Settings, options: dict[str, Any]) -> int:
    # Each role imports only the modules that it needs.
    match role:
        case "api":
            from callboard.processes.api import run_api

            return run_api(settings, **options)
        case "dispatcher":
            from callboard.processes.dispatcher import run_dispatcher

            return run_dispatcher(settings, **options)
        case "job_types":
            from callboard.processes.job_types import try_job_types

            return try_job_types(settings, **options)
        case "work":
            from callboard.processes.work import run_work
            from callboard.processes.worker import WorkerOptions

            return run_work(settings, WorkerOptions(**options))
        case "worker":
            from callboard.processes.worker import WorkerOptions, run_worker

            return run_worker(settings, WorkerOptions(**options))
        case _:
            raise ValueError(f"unknown role {role!r}")


def main() -> int:
    role, parent, watchdog, options = sys.argv[1:]
    stop_with_parent(int(parent))
    # For the supervisor: dumps the stacks of a process that hangs, even during a C call.
    faulthandler.register(signal.SIGUSR1)
    settle_import_path()  # the parent has said what there is to say about it
    try:
        with feeding_watchdog(int(watchdog)):
            from callboard.db.logs import configure_logs
            from callboard.db.settings import load_settings

            settings = load_settings()
            configure_logs(settings)
            return _run(role, settings, json.loads(options))
    except CallboardError as error:
        sys.stderr.write(f"Error: {error}\n")
        return EXIT_REFUSED
    finally:
        # The supervisor does the same, if it lives.
        end_session(os.getpid())
        if os.getppid() != int(parent):
            # Nobody is left to kill this process if a thread of a handler keeps it.
            os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
