"""``async def`` handlers: one event loop in a thread, for all attempts of the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

from callboard.actors.execution.interrupts import Interrupter, JobInterrupted


class CoroutineRunner:
    """Runs coroutines for threads that wait for them. The loop starts with the first one.

    A task is cancelled once, as asyncio does it, and may await in its ``finally``. anyio's blocking portal would cancel
    each of these awaits, too.
    """

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any], interrupter: Interrupter) -> Any:
        """Return the coroutine's value. An interruption cancels its task.

        Raises:
            JobInterrupted: the task was cancelled by the interrupter.
        """
        loop = self._running_loop()
        ended: Future[Any] = Future()

        async def supervised() -> None:
            task = asyncio.ensure_future(coroutine)
            interrupter.enforce_by(lambda: _cancel(loop, task), in_handler=lambda: _current_task() is task)
            try:
                ended.set_result(await task)
            except asyncio.CancelledError:
                ended.set_exception(JobInterrupted())
            except BaseException as error:  # noqa: BLE001 - the waiting thread gets it
                ended.set_exception(error)

        asyncio.run_coroutine_threadsafe(supervised(), loop)
        return ended.result()

    def stop(self) -> None:
        """End the loop, if there is one."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
            if not self._thread.is_alive():
                self._loop.close()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="coroutines", daemon=True)
                self._thread.start()
            return self._loop


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # a thread without a loop
        return None


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Future[Any]) -> None:
    loop.call_soon_threadsafe(task.cancel)
