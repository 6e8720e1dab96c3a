"""The process between a worker and a handler's process: it kills all that is left of the latter.

It kills the handler's process and its descendants, daemons included, when the worker closes the control pipe or dies in
any way, when the handler's process ends, and when all that has more memory than its limit. It has one thread, and
imports next to nothing before it forks: the copy has no locks or buffers in use.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from typing import Final, NoReturn

from callboard.actors.execution.isolation.descendants import descendants
from callboard.actors.execution.isolation.memory import GuardsMemoryLimit

#: The interpreter's program; its arguments are four file descriptors (see :func:`main`), then ``sys.path``.
START: Final = (
    "import sys; sys.path[:] = sys.argv[5:]; from callboard.actors.execution.isolation.guard import main; main()"
)

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def main() -> NoReturn:
    """Fork the handler's process, wait for its end, and exit with its status.

    The arguments are file descriptors: of the socket to the worker, of the pipe whose other end only the worker has,
    of the file for the interpreter's crash report, and of that with the memory limit.
    """
    calls, control, report, memory = map(int, sys.argv[1:5])
    # Orphans of the handler's process become our children, instead of init's.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    woken, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    guarded = os.fork()
    if guarded == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(woken)
        os.close(wakeup)
        os.close(memory)
        _begin(calls, control, report)
    os.close(calls)
    os.close(report)
    status = _until_ended(guarded, control, woken, GuardsMemoryLimit(memory))
    _end_as(_kill_all(guarded, status))


def _begin(calls: int, control: int, report: int) -> NoReturn:
    guard = os.getppid()
    os.setpgid(0, 0)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:
        os._exit(0)
    from callboard.actors.execution.isolation.child import serve  # noqa: PLC0415 - the guard imports none of this

    serve(calls, control, report)


def _until_ended(guarded: int, control: int, woken: int, memory: GuardsMemoryLimit) -> int | None:
    """Wait for the end of the guarded process and return its status.

    None: the worker has closed the pipe or died, or the memory limit is exceeded.
    """
    poll = select.poll()
    poll.register(control, 0)  # reports only that the other end was closed
    poll.register(woken, select.POLLIN)
    while True:
        for pid, status in _reaped():
            if pid == guarded:
                return status
        events = dict(poll.poll(memory.pause * 1000))
        if control in events or memory.exceeded(guarded):
            return None
        if woken in events:
            os.read(woken, 4096)


def _kill_all(guarded: int, status: int | None) -> int:
    """Kill all descendants of this process; return the status with which the guarded one ended."""
    while True:
        with suppress(OSError):  # the group is gone
            os.killpg(guarded, signal.SIGKILL)
        left = descendants(os.getpid())
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid, ended in _reaped():
            if pid == guarded:
                status = ended
        if status is not None and not left:
            return status
        time.sleep(0.002)


def _reaped() -> list[tuple[int, int]]:
    """Return pid and status of each child that has ended."""
    ended = []
    with suppress(ChildProcessError):
        while (child := os.waitpid(-1, os.WNOHANG))[0] != 0:
            ended.append(child)
    return ended


def _end_as(status: int) -> NoReturn:
    """Exit with this status, or by its signal, which the worker then reads."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError, ValueError):  # SIGKILL has no handler to reset
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _prctl(option: int, value: int) -> None:
    """Call prctl. Linux only; elsewhere this does nothing."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value)
