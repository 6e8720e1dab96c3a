"""The event loop that all coroutines of a process share, fenced against each of them."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, NoReturn

import structlog

from callboard.actors.execution.forked_copy import end_with_copies, leave_copy
from callboard.actors.execution.interrupts import Interrupter, JobInterrupted

_log = structlog.get_logger(__name__)


class LoopAbandoned(Exception):
    """A coroutine beside this one blocked their event loop past all its limits. This one is to run again."""


class CoroutineAttempt:
    """The attempt of a coroutine, and its end: for the thread that waits."""

    def __init__(self, interrupter: Interrupter, fields: Mapping[str, object]) -> None:
        """``fields``: name it in the log."""
        self.interrupter = interrupter
        self.fields = fields
        self.ended: Future[Any] = Future()


#: The attempt to which a task belongs, also one that a handler creates.
_attempt: ContextVar[CoroutineAttempt | None] = ContextVar("callboard_attempt", default=None)


class _NoMoreSteps(SystemExit):
    """Leaves ``run_forever`` from within a task, as ``SystemExit`` alone does."""


class SharedLoop(asyncio.SelectorEventLoop):
    """An event loop in a thread of its own, which no coroutine can stop.

    asyncio lets ``SystemExit`` and ``KeyboardInterrupt`` of a task out of ``run_forever``; here the loop then goes on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.attempts: set[CoroutineAttempt] = set()
        """Those that have not ended."""
        self.step: tuple[int, CoroutineAttempt | None] | None = None
        """Number and attempt of the step of a task that runs now, if one does."""
        self._steps = 0
        self._process_id = os.getpid()
        self._ending = False
        self._thread = threading.Thread(target=self._work, name="coroutines", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it runs coroutines."""
        return self._thread.is_alive() and not self._ending

    def stack(self) -> str:
        """Return where its thread is."""
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - there is no other way
        return "".join(traceback.format_stack(frame)) if frame is not None else ""

    def begin(self, attempt: CoroutineAttempt, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine; ``attempt.ended`` has its value. For any thread."""
        self.attempts.add(attempt)
        context = copy_context()
        context.run(_attempt.set, attempt)
        self.call_soon_threadsafe(self._start, attempt, coroutine, context=context)

    def abandon(self, blocker: CoroutineAttempt) -> None:
        """Never run another step, also if the one that runs now should end. The attempts beside it are to run again."""
        self._begin_to_end()
        for attempt in self.attempts - {blocker}:
            _end(attempt, LoopAbandoned("Another coroutine has blocked the event loop."))

    def end(self) -> None:
        """Stop it, and wait up to 5 seconds for its thread."""
        self._begin_to_end()
        self._thread.join(5)

    def _begin_to_end(self) -> None:
        self._ending = True
        with suppress(RuntimeError):  # it is closed
            self.call_soon_threadsafe(super().stop)

    def stop(self) -> NoReturn:
        """Refuse.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("This event loop is shared by all coroutines of the process: a handler cannot stop it.")

    async def shutdown_default_executor(self, timeout: float | None = None) -> NoReturn:  # noqa: ARG002, ASYNC109
        """Refuse: ``asyncio.to_thread`` would work for no coroutine any more.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("This event loop is shared by all coroutines of the process: so are its threads.")

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Log what asyncio complains of; not of the tasks that this loop has left undone on purpose."""
        if not self._ending:
            super().call_exception_handler(context)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Create a task whose steps are watched."""
        return super().create_task(_Steps(coro, self, _attempt.get()), **options)

    def enter(self, attempt: CoroutineAttempt | None) -> None:
        """Begin a step. Called by the tasks."""
        if self._ending:
            raise _NoMoreSteps
        self._steps += 1
        self.step = (self._steps, attempt)

    def leave(self) -> None:
        """End a step. A copy of the process that it has forked ends here: it would run everybody's tasks again."""
        leave_copy(self._process_id)
        self.step = None

    def _work(self) -> None:
        end_with_copies()
        while not self._ending and not self.is_closed():
            try:
                self.run_forever()
            except BaseException as error:  # noqa: BLE001 - the tasks beside the one that raised it go on
                if not self._ending:
                    _log.warning("coroutine_left_loop", error=type(error).__name__)
        for attempt in list(self.attempts):
            _end(attempt, JobInterrupted())
        self.close()

    def _start(self, attempt: CoroutineAttempt, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = self.create_task(coroutine)
        attempt.interrupter.enforce_by(lambda: self._cancel(task), in_handler=lambda: _current_task() is task)
        # No task of ours waits for it: a handler may cancel all that there are.
        task.add_done_callback(partial(self._ended, attempt))

    def _ended(self, attempt: CoroutineAttempt, task: asyncio.Task[Any]) -> None:
        self.attempts.discard(attempt)
        if task.cancelled():
            _end(attempt, JobInterrupted())
        elif (error := task.exception()) is not None:
            _end(attempt, error)
        else:
            with suppress(InvalidStateError):
                attempt.ended.set_result(task.result())

    def _cancel(self, task: asyncio.Future[Any]) -> None:
        with suppress(RuntimeError):  # it is closed
            self.call_soon_threadsafe(task.cancel)


class _Steps(Coroutine[Any, Any, Any]):
    """A coroutine whose loop is told when a step of it begins and ends."""

    __slots__ = ("_attempt", "_coroutine", "_loop")

    def __init__(self, coroutine: Any, loop: SharedLoop, attempt: CoroutineAttempt | None) -> None:
        self._coroutine = coroutine
        self._loop = loop
        self._attempt = attempt

    def send(self, value: Any, /) -> Any:
        self._loop.enter(self._attempt)
        try:
            return self._coroutine.send(value)
        finally:
            self._loop.leave()

    def throw(self, *error: Any) -> Any:
        self._loop.enter(self._attempt)
        try:
            return self._coroutine.throw(*error)
        finally:
            self._loop.leave()

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        # Where it is (cr_frame, cr_await) and what it is called: for those who print tasks.
        return getattr(self._coroutine, name)


def _end(attempt: CoroutineAttempt, error: BaseException) -> None:
    with suppress(InvalidStateError):  # it has ended otherwise meanwhile
        attempt.ended.set_exception(error)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # a thread without a loop
        return None
