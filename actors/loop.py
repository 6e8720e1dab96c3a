"""Periodic duties, each in a thread of its own."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import structlog

from callboard.db.errors import Unavailable
from callboard.db.rules.backoff import Backoff

_log = structlog.get_logger(__name__)

_SHORTEST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


class Loop:
    """Calls ``duty`` about every ``interval`` seconds, until stopped.

    ``duty`` may return the seconds until its next call. An exception is logged, and the duty is called again after a
    pause that grows with each failure: a loop ends only by :meth:`stop`.
    """

    def __init__(
        self,
        name: str,
        duty: Callable[[], float | None],
        *,
        interval: float,
        jitter: float = 0.1,
        longest_pause: float = _LONGEST_PAUSE,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            jitter: share of the interval by which calls vary. Many processes then do not call at the same time.
            longest_pause: seconds to which the pauses grow while calls fail, or the interval if that is longer. They
                begin at 0.1 seconds, as the work of a wake-up is still to be done.
            at_end: the last call in the loop's thread, such as to close a connection that only it uses.
        """
        self._name = name
        self._duty = duty
        self._interval = interval
        self._jitter = jitter
        self._longest_pause = longest_pause
        self._at_end = at_end
        self._wakeup = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Call the duty now instead of at the end of the interval."""
        self._wakeup.set()

    def stop(self, timeout: float = 10.0) -> None:
        """End the loop, and wait up to ``timeout`` seconds for a call that is under way."""
        self._stopping = True
        self._wakeup.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def _work(self) -> None:
        backoff = Backoff(_SHORTEST_PAUSE, max(self._longest_pause, self._interval))
        while not self._stopping:
            # Cleared before the call: a wake-up during the call leads to another one.
            self._wakeup.clear()
            try:
                pause = self._duty()
                backoff.reset()
            except Unavailable as error:
                pause = backoff.next()
                _log.warning("duty_postponed", duty=self._name, reason=str(error))
            except Exception:  # noqa: BLE001 - a loop outlives all errors of its duty
                pause = backoff.next()
                _log.exception("duty_failed", duty=self._name)
            if pause is None:
                pause = self._interval * (1 + self._jitter * random.uniform(-1, 1))
            if not self._stopping:
                self._wakeup.wait(pause)
        self._at_end()
