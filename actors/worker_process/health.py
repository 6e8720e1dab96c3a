"""Health checks of a worker process: its threads live, its consumers poll, its memory and job count are in bounds."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path

from dramatiq import Worker

from callboard.actors.broker.base import JobBroker
from callboard.actors.execution.running_attempts import RunningAttempts
from callboard.actors.loop import Loop
from callboard.actors.metrics import CHECKED, CONSUMING, READY

_CHECK_INTERVAL = 0.5
#: Connecting takes a consumer seconds, and nothing else keeps it so long from its next poll.
_STALLED_AFTER = 300.0
_STATM = Path("/proc/self/statm")


class Health:
    """Checks this process twice a second, updates its metrics, and asks for its replacement if need be."""

    def __init__(
        self,
        worker: Worker,
        broker: JobBroker,
        running: RunningAttempts,
        *,
        parts: Mapping[str, Callable[[], bool]],
        registered: Callable[[], bool],
        max_memory: int | None,
    ) -> None:
        """
        Args:
            parts: other parts of the process that must live, by name, each with its check.
            registered: returns whether this worker may claim jobs.
            max_memory: bytes of resident memory above which the process is replaced; None for no limit.
        """
        self._worker = worker
        self._broker = broker
        self._running = running
        self._parts = parts
        self._registered = registered
        self._max_memory = max_memory
        self._loop = Loop("health", self._check, interval=_CHECK_INTERVAL, jitter=0)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def defects(self) -> list[str]:
        """Return the parts that have died or are stuck in this process. If there are any, it should be replaced."""
        consumers = self._worker.consumers.items()
        dead = [f"consumer of {queue}" for queue, thread in consumers if not thread.is_alive()]
        if not self._broker.draining:
            dead += [thread.name for thread in self._worker.workers if not thread.is_alive()]
        dead += [name for name, alive in self._parts.items() if not alive()]
        dead += [f"consumer of {queue}, stuck" for queue in self._broker.stalled(_STALLED_AFTER)]
        return dead

    def _check(self) -> None:
        CHECKED.set_to_current_time()
        states = self._broker.consuming()
        for queue in self._worker.consumers:
            CONSUMING.labels(queue).set(queue in states and states[queue].consuming)
        READY.set(self._registered() and bool(states) and all(state.consuming for state in states.values()))
        if self._max_memory is not None and (resident := resident_bytes()) > self._max_memory:
            self._running.replace_process(f"it has {resident} bytes of memory, more than {self._max_memory}")


class JobCount:
    """Has this process replaced after about ``max_jobs`` jobs."""

    def __init__(self, running: RunningAttempts, max_jobs: int | None) -> None:
        """``max_jobs``: a random part up to a tenth is taken off: processes of one age must not all end at once."""
        self._running = running
        self._left = None if max_jobs is None else max_jobs - random.randrange(max_jobs // 10 + 1)
        self._max_jobs = max_jobs

    def one_more(self) -> None:
        """Count a job. Callable from any thread; the rare count that is lost between two threads does no harm."""
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._running.replace_process(f"it has run about {self._max_jobs} jobs")


def resident_bytes() -> int:
    """Return the bytes of this process in RAM; 0 if the system is not Linux."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
