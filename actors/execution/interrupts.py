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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final, TypeVar

Returned = TypeVar("Returned")

#: Seconds that a handler has to see the flag before the exception is raised in its thread.
COOPERATIVE_GRACE: Final = 0.25
#: Seconds from the flag until a handler must have ended, what it does in ``except`` and ``finally`` included.
CLEANUP_GRACE: Final = 3.0


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


class StopRequest:
    """The flag: whether an attempt is to stop, since when and why. Safe to use from any thread."""

    def __init__(self) -> None:
        self._reason: Interruption | None = None
        self._asked_at = 0.0

    @property
    def reason(self) -> Interruption | None:
        """Why the handler is to stop, or None."""
        return self._reason

    @property
    def overdue(self) -> bool:
        """Whether the handler should have ended by now."""
        return self._reason is not None and time.monotonic() - self._asked_at > CLEANUP_GRACE

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

    def enforce(self) -> None:
        """Do more than ask, once a handler has not looked at the flag for a while. Called again and again."""

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Keep a block of ours inside a handler (a statement, a file) from being torn by the exception."""
        yield


class Interrupter(StopRequest):
    """Stops a handler in a thread. Made in the thread that will run it; other threads call :meth:`interrupt`."""

    def __init__(self) -> None:
        super().__init__()
        self._thread_id = threading.get_ident()
        # Whoever takes the one ticket decides: an enforcer that it raises the exception, the handler's thread that
        # nobody will. No lock: a thread can be interrupted between getting a lock and the block that would release it.
        self._ticket: deque[None] = deque([None])
        self._raised = False
        # Only the handler's thread looks at these two: whether it has the ticket, and whether it keeps it.
        self._mine = False
        self._seen = False
        self._enforce: Callable[[], None] = self._raise_in_thread
        self._in_handler: Callable[[], bool] = lambda: threading.get_ident() == self._thread_id

    def check(self) -> None:
        """Return at once, unless the flag is set. A handler that has seen it once cleans up undisturbed.

        Raises:
            JobInterrupted: it is.
        """
        if self._reason is None:
            return
        if self._in_handler():
            self._mine = self._seen = self._mine or self._take_ticket()
        raise JobInterrupted

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Keep a block of ours inside a handler (a statement, a file) from being torn by the exception."""
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
        """Stop the handler by this call, not by an exception in the thread (for coroutines).

        ``in_handler``: whether the caller is the handler itself, rather than something that it has started.
        """
        self._enforce = enforce
        self._in_handler = in_handler

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
        # If an enforcer was first (or this is the second call), take back its exception if it has not arrived yet.
        if not self._seen and not self._take_ticket() and self._raised:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread_id), None)

    def _take_ticket(self) -> bool:
        """Return whether nothing will be raised from now on. Otherwise something has been: it arrives here or did so
        before.
        """
        try:
            self._ticket.popleft()
        except IndexError:
            while self._reason is not None and not self._raised:
                time.sleep(0.0005)
            # Python delivers an exception from elsewhere after a call, if not earlier.
            time.sleep(0)
            return False
        return True

    def _raise_in_thread(self) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread_id), ctypes.py_object(JobInterrupted))
