"""``async def`` handlers: one event loop in a thread, for all attempts of the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

import structlog

from callboard.actors.execution.interrupts import Interrupter
from callboard.actors.execution.shared_loop import CoroutineAttempt, LoopAbandoned, SharedLoop
from callboard.actors.loop import Loop

_log = structlog.get_logger(__name__)

#: Seconds between two looks at the loop.
_LOOK_EVERY: Final = 0.25
#: Seconds without an ``await`` after which a coroutine is named in the log.
_LONGEST_STEP: Final = 1.0


class CoroutineRunner:
    """Runs coroutines for threads that wait for them. The loop starts with the first one.

    A task is cancelled once, as asyncio does it, and may await in its ``finally``. anyio's blocking portal would cancel
    each of these awaits, too.

    Nothing interrupts a coroutine that does not await. It holds up all others, and is named in the log. If it is to
    stop and does not, its loop is abandoned: the others run again, and a new loop takes the next ones.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: SharedLoop | None = None
        self._watch: Loop | None = None
        # The step that the watch saw last, since when, and whether it has been named in the log.
        self._step = 0
        self._since = 0.0
        self._named = False

    def run(self, coroutine: Coroutine[Any, Any, Any], interrupter: Interrupter, **fields: object) -> Any:
        """Return the coroutine's value. An interruption cancels its task.

        Args:
            coroutine: of a handler.
            interrupter: of the attempt; constructed in this thread.
            **fields: what the log says of the attempt.

        Raises:
            JobInterrupted: the task was cancelled by the interrupter.
            LoopAbandoned: another coroutine has blocked the loop, and this one is to run again.
        """
        attempt = CoroutineAttempt(interrupter, fields)
        with self._lock:
            if self._loop is None or not self._loop.alive:
                self._loop = SharedLoop()
            if self._watch is None:
                self._watch = Loop("watch-coroutines", self._look, interval=_LOOK_EVERY, jitter=0)
                self._watch.start()
            self._loop.begin(attempt, coroutine)
        try:
            return attempt.ended.result()
        except LoopAbandoned:
            # Its ``finally`` blocks run here, before its next attempt does; those that await end there.
            with suppress(Exception):
                coroutine.close()
            raise

    def stop(self) -> None:
        """End the loop, if there is one."""
        with self._lock:
            loop, watch = self._loop, self._watch
            self._loop = self._watch = None
        if watch is not None:
            watch.stop()
        if loop is not None:
            loop.end()

    def _look(self) -> None:
        with self._lock:
            loop = self._loop
            running = loop.step if loop is not None else None
            if loop is None or running is None:
                self._step = 0
                return
            step, attempt = running
            if step != self._step:
                self._step, self._since, self._named = step, time.monotonic(), False
            elif attempt is not None:
                if not self._named and time.monotonic() - self._since > _LONGEST_STEP:
                    self._named = True
                    _log.warning(
                        "coroutine_blocks_loop", beside=len(loop.attempts) - 1, stack=loop.stack(), **attempt.fields
                    )
                if attempt.interrupter.overdue and loop.alive:
                    _log.error("loop_abandoned", beside=len(loop.attempts) - 1, **attempt.fields)
                    loop.abandon(attempt)
