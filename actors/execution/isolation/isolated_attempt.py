"""One attempt whose handler runs in a process of its own: the worker's side."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import structlog

from callboard.actors.execution import decide
from callboard.actors.execution.handler_run import SERVICE_NAMES, RunServices, log_fields
from callboard.actors.execution.interrupts import Interruption, StopRequest
from callboard.actors.execution.isolation.errors import HandlerProcessDied, MemoryLimitExceeded
from callboard.actors.execution.isolation.messages import Call, Ended, Raised, Report, Returned
from callboard.actors.execution.isolation.pool import ProcessPool
from callboard.actors.execution.isolation.process import HandlerProcess
from callboard.actors.execution.progress import Progress
from callboard.actors.types.registry import JobType
from callboard.db.rules.attempts import ClaimedJob
from callboard.db.rules.outcome import Outcome

_log = structlog.get_logger(__name__)


class ProcessStop(StopRequest):
    """Stops the handler in a process: the process gets the reason at once, and raises the exception in its own thread.

    A process without a handler yet is killed. Nothing here waits for the process.
    """

    def __init__(self) -> None:
        super().__init__()
        self._process: HandlerProcess | None = None
        self._number: int | None = None
        self._lock = threading.Lock()
        self.given_up = False
        """Whether its time was over, so that a late result is ignored."""

    def attach(self, process: HandlerProcess, number: int | None = None) -> None:
        """Set the process; ``number``: of the attempt there, once it is to start."""
        with self._lock:
            self._process, self._number = process, number
            self._forward()

    def interrupt(self, reason: Interruption) -> None:
        super().interrupt(reason)
        with self._lock:
            self._forward()

    def _forward(self) -> None:
        if self._process is None or self._reason is None:
            return
        if self._number is None:
            self._process.kill()
        else:
            self._process.interrupt(self._number, self._reason)

    def kill(self) -> None:
        """Kill the process, whose time is over. Called repeatedly; the first call has it dump its stacks."""
        with self._lock:
            if self._process is None:
                return
            if self.given_up or self._number is None:
                self._process.kill()
            else:
                self.given_up = True
                self._process.dump_stacks()

    def release(self) -> None:
        """Detach the process: the attempt has ended."""
        with self._lock:
            self._process = None


class IsolatedAttempt:
    """An attempt whose handler runs in a process of its own."""

    _process: HandlerProcess

    def __init__(self, pool: ProcessPool, job_type: JobType, job: ClaimedJob) -> None:
        self._pool = pool
        self._job_type = job_type
        self._job = job
        self.stop = ProcessStop()

    def begin(self) -> Outcome | None:
        """Start the handler in a process; return the outcome if that fails, or if it is interrupted before."""
        try:
            self._begin()
        except HandlerProcessDied as error:
            self.stop.release()
            if self.stop.reason is not None:
                return decide.after_interruption(self._job_type, self._job, self.stop.reason)
            _log.error("handler_process_not_started", error=str(error), **log_fields(self._job))
            return decide.after_exception(self._job_type, self._job, error)
        return None

    def _begin(self) -> None:
        while True:
            self._process = process = self._pool.acquire(self._job_type.memory_limit)
            self.stop.attach(process)
            process.load()
            self.stop.attach(process, process.next_number)
            if process.start(self._job, self._job_type.memory_limit):
                return
            died = process.end(seems_dead=True)
            if process.new:
                raise died

    def outcome(self, services: RunServices, progress: Progress) -> Outcome:
        """Serve the handler's calls until the attempt has ended; return its outcome."""
        ended: Ended | None = None
        try:
            ended = self._serve(services, progress)
        except (EOFError, OSError):
            pass
        except pickle.UnpicklingError as error:
            # The memory of the process is corrupt.
            _log.warning("handler_process_garbled", error=str(error), **log_fields(self._job))
        finally:
            self.stop.release()
            excess = self._process.excess()
            died = None
            if ended is None or not ended.clean or excess is not None or self.stop.reason is not None:
                died = self._process.end(seems_dead=ended is None)
            else:
                self._pool.release(self._process)
        if ended is not None and not self.stop.given_up and excess is None:
            return ended.outcome
        return self._after_death(died or HandlerProcessDied(), excess)

    def _serve(self, services: RunServices, progress: Progress) -> Ended:
        connection = self._process.connection
        while True:
            message: Any = connection.recv()
            match message:
                case Report(report):
                    progress.report(report.current, report.total, report.step, report.message)
                case Call():
                    connection.send(_made(message, services, self.stop))
                case Ended():
                    return message

    def _after_death(self, died: Exception, excess: int | None) -> Outcome:
        notes = "\n".join(getattr(died, "__notes__", ()))
        error = died
        if excess is not None:
            limit = self._job_type.memory_limit or 0
            error = MemoryLimitExceeded(
                f"The handler's process had {excess >> 20} MiB of memory, the limit is {limit >> 20} MiB."
            )
        elif self.stop.reason is not None:
            _log.warning(
                "handler_process_killed", reason=str(self.stop.reason), stacks=notes or None, **log_fields(self._job)
            )
            return decide.after_interruption(self._job_type, self._job, self.stop.reason, where=notes or None)
        outcome = decide.after_exception(self._job_type, self._job, error)
        _log.warning("handler_process_died", outcome=str(outcome.status), error=str(error), **log_fields(self._job))
        return outcome


def _made(call: Call, services: RunServices, stop: StopRequest) -> Returned | Raised:
    """Make a call for the handler's process."""
    try:
        if call.name not in SERVICE_NAMES:
            raise AttributeError(call.name)
        return Returned(getattr(services, call.name)(*call.arguments))
    except BaseException as error:  # noqa: BLE001 - it is raised in the handler
        return Raised(_picklable(error), stop.reason)


def _picklable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    except Exception:  # noqa: BLE001 - pickling a foreign exception may raise anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
