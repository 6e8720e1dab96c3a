"""Whether a worker process still does its work: its threads live, its consumers turn, it has not grown too old."""

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

_LOOK_EVERY = 0.5
#: A consumer that connects is back after seconds. In nothing that ends by itself it stays this long.
_STALLED_AFTER = 300.0
_STATM = Path("/proc/self/statm")


class Health:
    """Looks at this process twice a second; tells metrics what it sees, and ``running`` when it should be replaced."""

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
            parts: what else must live here, by name, and whether it does.
            registered: whether this worker may claim jobs.
            max_memory: bytes of resident memory with which the process is replaced; None: any number.
        """
        self._worker = worker
        self._broker = broker
        self._running = running
        self._parts = parts
        self._registered = registered
        self._max_memory = max_memory
        self._loop = Loop("health", self._look, interval=_LOOK_EVERY, jitter=0)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def defects(self) -> list[str]:
        """Return what has died in this process though nobody told it to: the process should be replaced."""
        consumers = self._worker.consumers.items()
        dead = [f"consumer of {queue}" for queue, thread in consumers if not thread.is_alive()]
        if not self._broker.draining:
            dead += [thread.name for thread in self._worker.workers if not thread.is_alive()]
        dead += [name for name, alive in self._parts.items() if not alive()]
        dead += [f"consumer of {queue}, stuck" for queue in self._broker.stalled(_STALLED_AFTER)]
        return dead

    def _look(self) -> None:
        CHECKED.set_to_current_time()
        states = self._broker.consuming()
        for queue in self._worker.consumers:
            CONSUMING.labels(queue).set(queue in states and states[queue].consuming)
        READY.set(self._registered() and bool(states) and all(state.consuming for state in states.values()))
        if self._max_memory is not None and (resident := resident_bytes()) > self._max_memory:
            self._running.replace_process(f"it has {resident} bytes of memory, more than {self._max_memory}")


class JobCount:
    """Has this process replaced after about so many jobs."""

    def __init__(self, running: RunningAttempts, max_jobs: int | None) -> None:
        """``max_jobs``: up to a tenth less is taken, so that processes of one age are not replaced at once."""
        self._running = running
        self._left = None if max_jobs is None else max_jobs - random.randrange(max_jobs // 10 + 1)
        self._max_jobs = max_jobs

    def one_more(self) -> None:
        """Count a job. Safe to call from any thread; counts of two that are lost to each other do no harm."""
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._running.replace_process(f"it has run about {self._max_jobs} jobs")


def resident_bytes() -> int:
    """Return the memory of this process that is in RAM; 0 where the system does not tell (it is not Linux)."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
