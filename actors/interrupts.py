"""Stopping a handler: one mechanism for cancel, time limit, shutdown and a lost lease.

First a flag that ``run.progress()`` and ``run.check()`` look at; a handler that does not look gets the exception
raised in its thread. That happens only while the handler itself runs, never in the bookkeeping around it, where it
would tear a claim or a record in two (Dramatiq's own TimeLimit does, its issue 445).
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

Returned = TypeVar("Returned")

#: Seconds that a handler has to see the flag before the exception is raised in its thread.
COOPERATIVE_GRACE = 0.25


class Interruption(StrEnum):
    """Why a handler is stopped."""

    CANCELLED = "cancelled"
    TIME_LIMIT = "time_limit"
    SHUTDOWN = "shutdown"
    LEASE_LOST = "lease_lost"


class JobInterrupted(BaseException):
    """Raised in a handler that must stop. Clean up and let it pass.

    Not an ``Exception``, so that ``except Exception`` in a handler does not catch it by accident.
    """


class Interrupter:
    """Stops one attempt's handler. Made in the thread that will run it; other threads call :meth:`interrupt`."""

    def __init__(self) -> None:
        self._thread_id = threading.get_ident()
        self._reason: Interruption | None = None
        self._asked_at = 0.0
        # Whoever takes the one ticket decides: an enforcer that it raises the exception, the handler's thread that
        # nobody will. No lock: a thread can be interrupted between getting a lock and the block that would release it.
        self._ticket: deque[None] = deque([None])
        self._raised = False
        self._enforce: Callable[[], None] = self._raise_in_thread

    @property
    def reason(self) -> Interruption | None:
        """Why the handler is to stop, or None."""
        return self._reason

    def interrupt(self, reason: Interruption) -> None:
        """Set the flag; the first reason stays."""
        if self._reason is None:
            self._asked_at = time.monotonic()
            self._reason = reason

    def check(self) -> None:
        """Return at once, unless the flag is set.

        Raises:
            JobInterrupted: it is.
        """
        if self._reason is not None:
            raise JobInterrupted

    def enforce_by(self, enforce: Callable[[], None]) -> None:
        """Stop the handler by this call, not by an exception in the thread (for coroutines)."""
        self._enforce = enforce

    def enforce(self) -> None:
        """Stop a handler that has not looked at the flag for a while; does nothing before that, or a second time."""
        if self._reason is None or time.monotonic() - self._asked_at < COOPERATIVE_GRACE:
            return
        try:
            self._ticket.popleft()
        except IndexError:
            return
        try:
            self._enforce()
        finally:
            self._raised = True

    def run(self, call: Callable[[], Returned]) -> Returned:
        """Return ``call()``; while it runs, and only then, the exception may be raised in this thread."""
        try:
            return call()
        finally:
            try:
                self._close()
            except JobInterrupted:
                # The exception arrived in _close itself. There is only one, so this time nothing gets in between.
                self._close()

    def _close(self) -> None:
        try:
            self._ticket.popleft()
        except IndexError:
            # An enforcer was first (or this is the second call). Wait until it is done, then take back the exception
            # if it has not arrived yet.
            while self._enforcing:
                time.sleep(0.0005)
            if self._raised:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread_id), None)

    @property
    def _enforcing(self) -> bool:
        return self._reason is not None and not self._raised

    def _raise_in_thread(self) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread_id), ctypes.py_object(JobInterrupted))
