"""Keeps child processes running: one that dies or hangs is replaced, with pauses when it keeps dying."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import orjson
import structlog

from callboard.db.rules.backoff import Backoff
from callboard.processes.exit_codes import EXIT_REFUSED, EXIT_REPLACE
from callboard.processes.sessions import end_session
from callboard.processes.signals import StopSignal
from callboard.processes.watchdog import Watchdog

_log = structlog.get_logger(__name__)

_POLL_INTERVAL = 0.1
_FIRST_PAUSE = 0.4
_LONGEST_PAUSE = 30.0
# A child that has lived so long is healthy: its next death is unrelated to those before.
_HEALTHY_AFTER = 10.0
# Seconds for a process that hangs to dump its stacks.
_DUMP_TIME = 1.0


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A process to keep running: a role of ``callboard.processes.child``, and its options."""

    name: str
    role: str
    options: Mapping[str, Any] = field(default_factory=dict)


class Child:
    """A process that is started again when it ends."""

    def __init__(self, spec: ChildSpec, environment: Mapping[str, str]) -> None:
        self.spec = spec
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog
        """Of the process, if there is one."""
        self._dump_requested = False
        self._started = 0.0
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._start_at = 0.0
        self.pause = 0.0
        """Seconds from the process's last end to its next start."""

    def start_if_due(self) -> None:
        """Start the process, unless it runs or its pause has not passed."""
        now = time.monotonic()
        if self._process is None and now >= self._start_at:
            self._watchdog = Watchdog()
            self._dump_requested = False
            self._process = start_child(self.spec.role, self.spec.options, self._watchdog, self._environment)
            self._started = now

    def kill_if_hung(self, hang_after: float) -> None:
        """Kill the process if its watchdog has been silent for ``hang_after`` seconds; first it dumps its stacks."""
        if self._process is None:
            return
        silence = self._watchdog.silence()
        if silence < hang_after:
            self._dump_requested = False
        elif not self._dump_requested:
            self._dump_requested = True
            _log.error("process_hangs", process=self.spec.name, pid=self._process.pid, seconds=round(silence))
            self.stop(signal.SIGUSR1)
        elif silence > hang_after + _DUMP_TIME:
            self.stop(signal.SIGKILL)

    def ended(self) -> tuple[int, int] | None:
        """Return (pid, exit code) once after the process has ended, when its pause begins; None otherwise."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        pid, lived = self._process.pid, time.monotonic() - self._started
        self.end_descendants()
        self._process = None
        self._watchdog.close()
        if lived > _HEALTHY_AFTER or code == EXIT_REPLACE:
            self._backoff.reset()
            self.pause = 0.0
        else:
            self.pause = self._backoff.next()
        self._start_at = time.monotonic() + self.pause
        return pid, code

    def stop(self, number: signal.Signals) -> None:
        """Send a signal, if the process runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def end_descendants(self) -> None:
        """Kill what the process, which has ended, has left behind."""
        if self._process is not None and (left := end_session(self._process.pid)):
            _log.warning("descendants_killed", process=self.spec.name, pid=self._process.pid, count=left)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None


def start_child(
    role: str,
    options: Mapping[str, Any],
    watchdog: Watchdog,
    environment: Mapping[str, str],
    *,
    report: int | None = None,
    output: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process of ``callboard.processes.child``, which feeds ``watchdog``.

    Args:
        role: of the process.
        options: of the role.
        watchdog: a new one.
        environment: variables for the process, beside those of this one.
        report: a descriptor that the process gets, too.
        output: a file for what the process prints. Default: it has the streams of this one.
    """
    arguments = [role, str(os.getpid()), str(watchdog.descriptor), orjson.dumps(dict(options)).decode()]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        # -P: the current directory does not come first on its path, where it could hide libraries.
        [sys.executable, "-P", "-m", "callboard.processes.child", *arguments],
        env={**os.environ, **environment},
        pass_fds=[watchdog.descriptor, *([] if report is None else [report])],
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        # In a session of its own: a Ctrl-C in the terminal reaches only this process, which stops its children in
        # order.
        start_new_session=True,
    )
    watchdog.close_descriptor()
    return process


class Supervisor:
    """Starts children, replaces those that die, and stops them all in the end."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        environment: Mapping[str, str] | None = None,
        grace: float,
        hang_after: float,
        died: Callable[[ChildSpec, int], None] = lambda _spec, _pid: None,
        on_poll: Callable[[], None] = lambda: None,
        until_done: bool = False,
    ) -> None:
        """Set the children. Nothing starts before :meth:`run`.

        Args:
            specs: the processes to keep running.
            environment: variables for the children, beside those of this process.
            grace: seconds for children to end after SIGTERM.
            hang_after: seconds of silence of its watchdog after which a child is killed and replaced.
            died: called with spec and pid of a child that ended by itself.
            on_poll: called about ten times a second.
            until_done: whether a child that exits with 0 is done, and not started again. The last one ends :meth:`run`.
        """
        self._children = [Child(spec, environment or {}) for spec in specs]
        self._grace = grace
        self._hang_after = hang_after
        self._died = died
        self._on_poll = on_poll
        self._until_done = until_done

    def run(self, stop: StopSignal) -> int:
        """Keep the children until ``stop`` is set, all are done, or one refuses to work; return the exit code.

        One that ends with 2 has said why, and another would not work either: the supervisor ends with 2, too.
        """
        try:
            while not stop.is_set and self._children:
                for child in list(self._children):
                    child.start_if_due()
                    child.kill_if_hung(self._hang_after)
                    if (end := child.ended()) is not None:
                        pid, code = end
                        if code == EXIT_REFUSED:
                            return EXIT_REFUSED
                        self._replace(child, pid, code)
                self._on_poll()
                stop.wait(_POLL_INTERVAL)
        finally:
            self._stop_all(stop)
        return 0

    def _replace(self, child: Child, pid: int, code: int) -> None:
        if self._until_done and code == 0:
            self._children.remove(child)
            return
        if code == EXIT_REPLACE:
            _log.info("process_replaced", process=child.spec.name, pid=pid)
        else:
            _log.error("process_died", process=child.spec.name, pid=pid, exit_code=code, restart_in=child.pause)
        self._died(child.spec, pid)

    def _stop_all(self, stop: StopSignal) -> None:
        for child in self._children:
            child.stop(signal.SIGTERM)
        give_up_at = time.monotonic() + self._grace
        hurrying = stop.hurried
        while any(child.running for child in self._children) and time.monotonic() < give_up_at:
            if stop.hurried and not hurrying:
                hurrying = True
                for child in self._children:
                    child.stop(signal.SIGTERM)
            time.sleep(0.05)
        for child in self._children:
            child.stop(signal.SIGKILL)
            child.end_descendants()
