"""The handler's process: it runs one attempt after the other, in its main thread."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Final, NoReturn, cast

import dramatiq
import structlog

from callboard.actors.broker.local import LocalBroker
from callboard.actors.execution import decide
from callboard.actors.execution.coroutines import CoroutineRunner
from callboard.actors.execution.forked_copy import fenced
from callboard.actors.execution.handler import run_handler
from callboard.actors.execution.handler_run import HandlerRun, RunServices
from callboard.actors.execution.interrupts import Interrupter
from callboard.actors.execution.isolation.control import Control
from callboard.actors.execution.isolation.messages import Begun, Ended, Ready, Report, Setup, Start, Unusable
from callboard.actors.execution.isolation.pipe import WorkerPipe
from callboard.actors.execution.isolation.remote_services import RemoteServices
from callboard.actors.execution.process_state import ProcessState
from callboard.actors.execution.progress import Progress
from callboard.actors.loop import Loop
from callboard.actors.types.loading import load_job_types
from callboard.actors.types.registry import Registry
from callboard.db.errors import ConfigurationError
from callboard.db.logs import configure_logs
from callboard.db.rules.outcome import Outcome
from callboard.db.settings import Settings

_log = structlog.get_logger(__name__)

#: Seconds between two progress reports to the worker, which stores fewer.
_REPORT_EVERY: Final = 0.1
#: Seconds for an attempt's threads to end after it.
_THREADS_END_WITHIN: Final = 0.2


def serve(calls: int, control: int, report: int) -> NoReturn:
    """Run attempts until the worker closes the connection. The arguments are the file descriptors of ``guard.main``."""
    # The worker reads the interpreter's crash report, and adds it to the attempt's error.
    crash_report = os.fdopen(report, "wb", buffering=0)
    faulthandler.enable(crash_report)
    faulthandler.register(signal.SIGUSR1, crash_report)
    connection: Connection[Any, Any] = Connection(calls)
    try:
        setup: Setup = connection.recv()
        registry = _prepare(setup.settings)
    except EOFError:
        os._exit(0)
    except ConfigurationError as error:
        connection.send(Unusable(str(error)))
        os._exit(1)
    child = _Child(setup.settings, registry, WorkerPipe(connection), Control(control))
    child.work()


def _prepare(settings: Settings) -> Registry:
    configure_logs(settings)
    # Before the job modules are imported: their own actors bind to the broker that is set by then.
    dramatiq.set_broker(LocalBroker())
    # The other built-in job types run in threads, and would take the longest time to import.
    return load_job_types(settings.job_modules, diagnostics=settings.diagnostics, built_in=())


class _Child:
    def __init__(self, settings: Settings, registry: Registry, link: WorkerPipe, control: Control) -> None:
        self._settings = settings
        self._registry = registry
        self._link = link
        self._control = control
        self._process_state = ProcessState(one_handler=True)

    def work(self) -> NoReturn:
        message: Ready | Ended = Ready(os.getpid())
        while True:
            start: Start = self._link.request(message)
            # Before the handler is called: an attempt of which the worker does not know it is begun anew elsewhere.
            self._link.deliver(Begun())
            before = set(threading.enumerate())
            outcome = self._run(start)
            message = Ended(outcome, clean=self._is_clean(before))

    def _run(self, start: Start) -> Outcome:
        job = start.job
        if job.type not in self._registry:
            return decide.unknown_type(job)
        interrupter = Interrupter()
        progress = Progress(job.attempt_id)

        def send_report() -> None:
            if (report := progress.unwritten()) is not None:
                self._link.send(Report(report))
                progress.written(report)

        reporting = Loop("progress", send_report, interval=_REPORT_EVERY, jitter=0)
        coroutines = CoroutineRunner()
        services = RemoteServices(self._link, interrupter)
        # It forwards the protocol's methods by their names, which mypy cannot see.
        run = HandlerRun(job, interrupter, progress, cast("RunServices", services))
        reporting.start()
        self._control.begin(start.number, interrupter)
        try:
            return fenced(partial(
                run_handler, self._registry.get(job.type), job, run, interrupter, coroutines,
                max_result_bytes=self._settings.max_result_bytes,
            ))  # fmt: skip
        finally:
            self._control.end()
            reporting.stop()
            send_report()
            coroutines.stop()
            services.close()

    def _is_clean(self, before: set[threading.Thread]) -> bool:
        until = time.monotonic() + _THREADS_END_WITHIN
        for thread in set(threading.enumerate()) - before:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                _log.info("handler_left_a_thread", thread=thread.name)
                return False
        changed, lasting = self._process_state.restore()
        if changed:
            _log.info("handler_changed_process_state", changed=changed)
        return not lasting
