"""A handler's process, as the worker sees it."""

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
from pathlib import Path
from typing import Any, Final

from callboard.actors.execution.interrupts import Interruption
from callboard.actors.execution.isolation.descendants import descendants, memory_of
from callboard.actors.execution.isolation.errors import HandlerProcessDied
from callboard.actors.execution.isolation.guard import START
from callboard.actors.execution.isolation.messages import Ready, Setup, Start, Unusable
from callboard.db.rules.attempts import ClaimedJob
from callboard.db.settings import Settings

#: It imports all modules that define job types; a machine that is short of processors takes its time.
_LONGEST_START: Final = 60.0
_LONGEST_PAUSE: Final = 10.0
_LONGEST_END: Final = 5.0
_PATIENCE: Final = 1.0
_LONGEST_CRASH_REPORT: Final = 16_000


class HandlerProcess:
    """A process that runs one attempt after the other, below a guard that leaves nothing of it behind.

    Fresh interpreters: a worker has threads, and what they were doing is not to be forked.
    """

    connection: Connection[Any, Any]
    _guard: subprocess.Popen[bytes]
    _control: int | None
    """Closed, and None, once the process is to end."""

    def __init__(self, settings: Settings) -> None:
        """Start it.

        Raises:
            HandlerProcessDied: it could not be started; the message says why.
        """
        self._settings = settings
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
        """Whether it has been given one attempt at most."""
        return self._attempts <= 1

    @property
    def next_number(self) -> int:
        """By which :meth:`interrupt` knows the attempt that is started next."""
        return self._attempts + 1

    @property
    def memory(self) -> int:
        """Bytes of memory that it and the processes below it have of their own."""
        return sum(map(memory_of, descendants(self._guard.pid)))

    @property
    def growth(self) -> int:
        """Bytes of memory that it has more than when it was new."""
        return self.memory - self._memory_at_start

    @property
    def alone(self) -> bool:
        """Whether it has left no process of its own running."""
        return len(descendants(self._guard.pid)) <= 1

    def load(self) -> None:
        """Wait until it has loaded the job types.

        Raises:
            HandlerProcessDied: it could not, or was killed meanwhile; the message says why.
        """
        if self._pid is not None:
            return
        answer: Any = None
        with suppress(EOFError, OSError):
            self.connection.send(Setup(self._settings))
            if self.connection.poll(_LONGEST_START):
                answer = self.connection.recv()
        if not isinstance(answer, Ready):
            died = self.end()
            reason = answer.reason if isinstance(answer, Unusable) else str(died)
            raise HandlerProcessDied(f"A process for the handler could not be started: {reason}")
        self._pid = answer.pid
        self._memory_at_start = self.memory

    def start(self, job: ClaimedJob) -> bool:
        """Have it run an attempt, once it has loaded; False: it has died or got stuck since it was last used."""
        self._attempts += 1
        with suppress(EOFError, OSError):
            self.connection.send(Start(self._attempts, job))
            # A new one is not stuck; its machine is busy.
            if self.connection.poll(_LONGEST_START if self.new else _LONGEST_PAUSE):
                self.connection.recv()  # Begun
                return True
        return False

    def interrupt(self, number: int, reason: Interruption) -> None:
        """Tell it that an attempt is to stop. Does not wait; no effect if that attempt has ended."""
        with self._lock, suppress(OSError):
            if self._control is not None:
                os.write(self._control, f"{number} {reason}\n".encode())

    def tell_where(self) -> None:
        """Have it write down where its threads are, for :meth:`end`. Works even in the middle of a C call."""
        with suppress(OSError):
            if self._pid is not None:
                os.kill(self._pid, signal.SIGUSR1)

    def kill(self) -> None:
        """End it, and all that it has started. Does not wait; may be called again, then it is more drastic."""
        with self._lock:
            if self._control is not None:
                os.close(self._control)
                self._control, self._killed_at = None, time.monotonic()
            elif time.monotonic() - self._killed_at > _PATIENCE and self.alive:
                # The guard itself is stopped, or starved.
                for pid in descendants(self._guard.pid):
                    with suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
                self._guard.kill()

    def end(self) -> HandlerProcessDied:
        """Kill it, wait for its end, and return how it ended, with what its interpreter said if it crashed."""
        self.kill()
        try:
            code = self._guard.wait(_LONGEST_END)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            code = self._guard.wait()
        self.connection.close()
        died = HandlerProcessDied(_what(code))
        with self._crash_report as file:
            file.seek(0)
            if report := file.read(_LONGEST_CRASH_REPORT).decode(errors="replace").strip():
                died.add_note(report)
        return died

    def _start(self) -> None:
        with ExitStack() as undo:
            self._crash_report = undo.enter_context(tempfile.TemporaryFile())
            self.connection, theirs = map(undo.enter_context, Pipe())
            control, self._control = pipe = os.pipe()
            undo.callback(os.close, pipe[1])
            with theirs, os.fdopen(control):
                descriptors = (theirs.fileno(), control, self._crash_report.fileno())
                self._guard = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    [sys.executable, "-c", START, *map(str, descriptors), *map(_absolute, sys.path)],
                    stdin=subprocess.DEVNULL,
                    pass_fds=descriptors,
                    # Signals to the worker's group, such as a terminal's Ctrl-C, are the worker's business.
                    start_new_session=True,
                )
            undo.pop_all()


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def _what(code: int) -> str:
    if code >= 0:
        return f"The handler's process ended by itself, with exit code {code}."
    name = signal.Signals(-code).name
    killer = ", as the kernel does when memory runs out" if -code == signal.SIGKILL else ""
    return f"The handler's process was ended by {name}{killer}."
