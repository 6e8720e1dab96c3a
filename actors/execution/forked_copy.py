"""Copies of this process that a handler makes with ``os.fork``: they never act as the worker, and end with it.

A copy has the worker's connections and one of its threads. The handler may go on in it, as a program may that forks;
where the handler ends, the copy ends. What only the worker can do (a checkpoint, a file) is refused there.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Final, NoReturn, TypeVar

Returned = TypeVar("Returned")

_PR_SET_PDEATHSIG: Final = 1

#: ``worker``: the worker's pid, in its threads that call handlers.
_thread = threading.local()


class ForkedCopyError(RuntimeError):
    """A copy of the worker's process called what only the worker itself can do."""

    def __init__(self) -> None:
        super().__init__(
            "This process is a copy that os.fork() made of the one that runs the job, whose connections belong to that "
            "one. Call it there."
        )


def fenced(call: Callable[[], Returned]) -> Returned:
    """Return what user code returns, called in a context of its own: context variables that it sets end with it.

    A copy of the process that it forks ends here.
    """
    original = end_with_copies()
    try:
        return copy_context().run(call)
    finally:
        leave_copy(original)


def end_with_copies() -> int:
    """Have copies that this thread makes from now on end with the worker; return this process's pid.

    Linux sends the signal when the *thread* ends that has forked. So this is for the threads that call handlers, which
    live as long as the worker.
    """
    _thread.worker = pid = os.getpid()
    return pid


def leave_copy(original: int) -> None:
    """End this process if it is a copy of the ``original``; where a handler has returned or raised."""
    if os.getpid() != original:
        _exit(sys.exc_info()[1])


def refuse_copy(original: int) -> None:
    """Refuse what a copy must not do.

    Raises:
        ForkedCopyError: this process is a copy of the ``original``.
    """
    if os.getpid() != original:
        raise ForkedCopyError


def _exit(error: BaseException | None) -> NoReturn:
    """End as an interpreter does after this exception, without the clean-up, which would be that of the original."""
    if isinstance(error, StopIteration):
        error = None  # a coroutine has returned
    code = 0 if error is None else 1
    with suppress(BaseException):
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            traceback.print_exception(error)
        sys.stdout.flush()
    os._exit(code & 0xFF)


def _end_with_worker() -> None:
    worker: int | None = getattr(_thread, "worker", None)
    if worker is None:
        return
    _thread.worker = None  # a copy of the copy may be meant to live on: a daemon
    with suppress(AttributeError, OSError):  # Linux only
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != worker:
            os._exit(1)


os.register_at_fork(after_in_child=_end_with_worker)
