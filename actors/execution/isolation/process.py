"""The worker's side of a handler's process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Final

from callboard.actors.execution.interrupts import Interruption
from callboard.actors.execution.isolation.descendants import descendants
from callboard.actors.execution.isolation.errors import HandlerProcessDied
from callboard.actors.execution.isolation.guard import START
from callboard.actors.execution.isolation.memory import WorkersMemoryLimit, kernel_kills, memory_below
from callboard.actors.execution.isolation.messages import Ready, Setup, Start, Unusable
from callboard.actors.execution.process_state import ProcessState
from callboard.db.rules.attempts import ClaimedJob
from callboard.db.settings import Settings

#: Seconds to import all modules that define job types, on a busy machine.
_LONGEST_START: Final = 60.0
#: Seconds for a process that has run attempts to begin another one.
_LONGEST_BEGIN: Final = 10.0
#: Seconds for the guard to kill everything.
_LONGEST_END: Final = 5.0
#: The same, after the process has ended by itself.
_LONGEST_DEATH: Final = 2.0
_SECOND_KILL_AFTER: Final = 1.0
_LONGEST_CRASH_REPORT: Final = 16_000
_LOST: Final = "The handler's process no longer answered its worker, which has killed it."


class HandlerProcess:
    """A process that runs one attempt after the other, below a guard that kills all that is left of it.

    It is a fresh interpreter, and no fork: the worker has threads, whose locks would be copied in any state.
    """

    connection: Connection[Any, Any]
    _guard: subprocess.Popen[bytes]
    _control: int | None
    """The end of the control pipe; closed, and None, once the process is to end."""

    def __init__(self, settings: Settings, process_state: ProcessState) -> None:
        """Start it.

        Args:
            settings: of the worker.
            process_state: what it begins with, whatever a handler in a thread does to the worker meanwhile.

        Raises:
            HandlerProcessDied: it could not be started; the message says why.
        """
        self._settings = settings
        self._process_state = process_state
        self._pid: int | None = None
        self._lock = threading.Lock()
        self._attempts = 0
        self._killed_at = 0.0
        try:
            self._start()
        except OSError as error:
            raise HandlerProcessDied(f"A process for the handler could not be started: {error}") from error
        self.used_at = time.monotonic()
        self._memory_at_start = 0

    @property
    def alive(self) -> bool:
        return self._guard.poll() is None

    @property
    def new(self) -> bool:
        """Whether it has got one attempt at most."""
        return self._attempts <= 1

    @property
    def next_number(self) -> int:
        """Number of the attempt that is started next, for :meth:`interrupt`."""
        return self._attempts + 1

    @property
    def memory(self) -> int:
        """Bytes of memory that it and its descendants have allocated."""
        return memory_below(self._guard.pid)

    @property
    def growth(self) -> int:
        """Bytes of memory that it has more than after loading."""
        return self.memory - self._memory_at_start

    @property
    def alone(self) -> bool:
        """Whether no process that it has started still runs."""
        return len(descendants(self._guard.pid)) <= 1

    def load(self) -> None:
        """Wait until it has loaded the job types.

        Raises:
            HandlerProcessDied: it could not load them, or was killed meanwhile; the message says why.
        """
        if self._pid is not None:
            return
        reply: Any = None
        with suppress(EOFError, OSError):
            self.connection.send(Setup(self._settings))
            if self.connection.poll(_LONGEST_START):
                reply = self.connection.recv()
        if not isinstance(reply, Ready):
            died = self.end(seems_dead=True)
            reason = reply.reason if isinstance(reply, Unusable) else str(died)
            raise HandlerProcessDied(f"A process for the handler could not be started: {reason}")
        self._pid = reply.pid
        self._memory_at_start = self.memory

    def start(self, job: ClaimedJob, memory_limit: int | None) -> bool:
        """Have it run an attempt, once it has loaded. False: it has died or hangs since its last attempt.

        ``memory_limit``: most bytes of it and its descendants, or None.
        """
        self._attempts += 1
        self._kernel_kills = kernel_kills()
        if self._pid is not None:
            self._memory_limit.begin(self._pid, self._attempts, memory_limit)
        with suppress(EOFError, OSError):
            self.connection.send(Start(self._attempts, job))
            # A new process does not hang; its machine is busy.
            if self.connection.poll(_LONGEST_START if self.new else _LONGEST_BEGIN):
                self.connection.recv()  # Begun
                return True
        return False

    def excess(self) -> int | None:
        """Return the bytes of memory of the attempt that has ended, if those were above its limit."""
        return None if self._pid is None else self._memory_limit.excess(self._pid)

    def interrupt(self, number: int, reason: Interruption) -> None:
        """Send it an interruption. Does not wait; no effect if that attempt has ended."""
        with self._lock, suppress(OSError):
            if self._control is not None:
                os.write(self._control, f"{number} {reason}\n".encode())

    def dump_stacks(self) -> None:
        """Have it dump the stacks of its threads, for :meth:`end`. Works even during a C call."""
        with suppress(OSError):
            if self._pid is not None:
                os.kill(self._pid, signal.SIGUSR1)

    def kill(self) -> None:
        """Kill it and its descendants. Does not wait. A second call after a second kills them without the guard."""
        with self._lock:
            if self._control is not None:
                os.close(self._control)
                self._control, self._killed_at = None, time.monotonic()
            elif time.monotonic() - self._killed_at > _SECOND_KILL_AFTER and self.alive:
                # The guard itself is suspended, or gets no processor time.
                for pid in descendants(self._guard.pid):
                    with suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
                self._guard.kill()

    def end(self, *, seems_dead: bool = False) -> HandlerProcessDied:
        """Kill it, wait for its end, and return an error that says how it ended. A crash report is added as a note.

        ``seems_dead``: it gets the time to end by itself that its guard needs.
        """
        if seems_dead and self._control is not None:
            with suppress(subprocess.TimeoutExpired):
                self._guard.wait(_LONGEST_DEATH)
        killed = self.alive
        self.kill()
        try:
            code = self._guard.wait(_LONGEST_END)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            code = self._guard.wait()
        self.connection.close()
        died = HandlerProcessDied(_LOST if killed else self._how(code))
        self._memory_file.close()
        with self._crash_report as file:
            file.seek(0)
            if report := file.read(_LONGEST_CRASH_REPORT).decode(errors="replace").strip():
                died.add_note(report)
        return died

    def _how(self, code: int) -> str:
        if code >= 0:
            return f"The handler's process ended by itself, with exit code {code}."
        message = f"The handler's process was ended by {signal.Signals(-code).name}"
        if -code != signal.SIGKILL:
            return f"{message}."
        before, after = self._kernel_kills, kernel_kills()
        if before is None or after is None:
            return f"{message}: somebody's, or the kernel's for want of memory."
        if after > before:
            return f"{message}: the kernel has killed processes of this machine meanwhile, for want of memory."
        return f"{message}: its own or somebody's; the kernel has killed no process for want of memory."

    def _start(self) -> None:
        state = self._process_state
        with ExitStack() as undo:
            self._crash_report = undo.enter_context(tempfile.TemporaryFile())
            self._memory_file = undo.enter_context(tempfile.TemporaryFile(buffering=0))
            self._memory_limit = WorkersMemoryLimit(self._memory_file.fileno())
            self.connection, theirs = map(undo.enter_context, Pipe())
            control, self._control = pipe = os.pipe()
            undo.callback(os.close, pipe[1])
            with theirs, os.fdopen(control):
                descriptors = (theirs.fileno(), control, self._crash_report.fileno(), self._memory_file.fileno())
                self._guard = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    [sys.executable, "-c", START, *map(str, descriptors), *state.path],
                    stdin=subprocess.DEVNULL,
                    pass_fds=descriptors,
                    cwd=state.directory,
                    env=state.environment,
                    umask=state.umask,
                    # Signals to the worker's group, such as a terminal's Ctrl-C, must not reach it.
                    start_new_session=True,
                )
            undo.pop_all()
