"""Interrupts a handler: one mechanism for cancel, time limit, shutdown and a lost lease.

First a flag is set, which ``run.progress()`` and ``run.check()`` read. If the handler does not read it, the exception
is raised in its thread. That happens only while the handler itself runs, never in the code around it, where it could
interrupt a claim or a record halfway (Dramatiq's TimeLimit does, its issue 445).
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final, TypeVar

from callboard.actors.execution.forked_copy import end_with_copies, leave_copy, refuse_copy

Returned = TypeVar("Returned")

#: Seconds for a handler to read the flag before the exception is raised in its thread.
COOPERATIVE_GRACE: Final = 0.25
#: Seconds for a handler to end after the flag is set, its ``except`` and ``finally`` included.
CLEANUP_GRACE: Final = 3.0


class Interruption(StrEnum):
    """Why a handler is interrupted."""

    CANCELLED = "cancelled"
    TIME_LIMIT = "time_limit"
    SHUTDOWN = "shutdown"
    LEASE_LOST = "lease_lost"


class JobInterrupted(BaseException):
    """Raised in a handler that must stop. Clean up and let it propagate.

    Not an ``Exception``, so that ``except Exception`` in a handler does not catch it by accident.
    """


class StopRequest:
    """The flag: whether an attempt is to stop, since when, and why. For any thread."""

    def __init__(self) -> None:
        self._reason: Interruption | None = None
        self._requested_at = 0.0

    @property
    def reason(self) -> Interruption | None:
        """Why the handler is to stop, or None."""
        return self._reason

    @property
    def overdue(self) -> bool:
        """Whether the handler should have ended by now."""
        return self._reason is not None and time.monotonic() - self._requested_at > CLEANUP_GRACE

    def interrupt(self, reason: Interruption) -> None:
        """Set the flag; the first reason stays."""
        if self._reason is None:
            self._requested_at = time.monotonic()
            self._reason = reason

    def check(self) -> None:
        """Return at once, unless the flag is set.

        Raises:
            JobInterrupted: the flag is set.
        """
        if self._reason is not None:
            raise JobInterrupted

    def enforce(self) -> None:
        """Stop a handler that has not read the flag for a while. Called repeatedly."""

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Protect a block of Callboard's own code in a handler (a statement, a file) from the exception."""
        yield


class Interrupter(StopRequest):
    """Interrupts a handler in a thread. Constructed in that thread; other threads call :meth:`interrupt`."""

    def __init__(self) -> None:
        super().__init__()
        self._process_id = os.getpid()
        self._thread_id = threading.get_ident()
        # There is one ticket. The enforcer takes it to raise the exception, the handler's thread takes it to prevent
        # that. No lock: a thread can be interrupted between acquiring a lock and the block that would release it.
        self._ticket: deque[None] = deque([None])
        self._raised = False
        # For the handler's thread alone: whether it has the ticket, and whether it keeps it.
        self._mine = False
        self._seen = False
        self._enforce: Callable[[], None] = self._raise_in_thread
        self._in_handler: Callable[[], bool] = lambda: threading.get_ident() == self._thread_id

    def check(self) -> None:
        """Return at once, unless the flag is set. A handler that has read it can clean up undisturbed.

        Raises:
            JobInterrupted: the flag is set.
        """
        if self._reason is None:
            return
        if self._in_handler():
            self._mine = self._seen = self._mine or self._take_ticket()
        raise JobInterrupted

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Protect a block of Callboard's own code in a handler (a statement, a file) from the exception.

        Raises:
            ForkedCopyError: this is a copy of the worker, whose connections are not its own.
        """
        refuse_copy(self._process_id)
        if self._mine or threading.get_ident() != self._thread_id:
            yield
            return
        self._mine = self._take_ticket()
        try:
            yield
        finally:
            if self._mine and not self._seen:
                self._mine = False
                self._ticket.append(None)

    def enforce_by(self, enforce: Callable[[], None], *, in_handler: Callable[[], bool]) -> None:
        """Replace the exception in the thread by another way to stop the handler (for coroutines).

        Args:
            enforce: stops it.
            in_handler: returns whether the caller is the handler itself, not a thread or task that it has started.
        """
        self._enforce = enforce
        self._in_handler = in_handler

    def enforce(self) -> None:
        """Raise the exception if the handler has not read the flag for 0.25 seconds; only once."""
        if self._reason is None or time.monotonic() - self._requested_at < COOPERATIVE_GRACE:
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
        """Return ``call()``. Only while it runs, the exception may be raised in this thread.

        A copy of the process that ``call`` forks ends here.
        """
        end_with_copies()
        try:
            return call()
        finally:
            leave_copy(self._process_id)
            try:
                self._close()
            except JobInterrupted:
                # The exception was raised in _close itself. There is only one, so this time it runs to its end.
                self._close()

    def _close(self) -> None:
        # If the enforcer was first (or this is the second call), withdraw its exception unless that has been raised.
        if not self._seen and not self._take_ticket() and self._raised:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread_id), None)

    def _take_ticket(self) -> bool:
        """Return True with the ticket: nothing will be raised. False: the exception is raised here, or was before."""
        try:
            self._ticket.popleft()
        except IndexError:
            while self._reason is not None and not self._raised:
                time.sleep(0.0005)
            # Python raises a pending exception at the latest after a call.
            time.sleep(0)
            return False
        return True

    def _raise_in_thread(self) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread_id), ctypes.py_object(JobInterrupted))
