"""The probes ``/livez`` and ``/readyz`` of worker and dispatcher processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry

from callboard.actors.dispatch.dispatcher import Dispatcher

Probe = Callable[[], str | None]
"""Returns the problem, or None."""

LIVE: Final = "/livez"
READY: Final = "/readyz"

#: Seconds for the supervisor to replace a process that hangs. One that cannot be killed hangs in the kernel.
_TIME_TO_REPLACE: Final = 30.0


def worker_probes(registry: CollectorRegistry, processes: int, *, hang_after: float) -> Mapping[str, Probe]:
    """Return the probes of a supervisor of worker ``processes``, computed from their metrics.

    Live: each running process checks its health, which is due twice a second. A process with a defect ends and is
    replaced; one without a check for ``hang_after`` seconds is killed and replaced. Not live: that has failed. Ready:
    all are registered in the database and consume all their queues.
    """

    def live() -> str | None:
        checked = registry.get_sample_value("callboard_worker_checked_timestamp_seconds")
        # None before the first process has started, 0 while one starts.
        if checked and (age := time.time() - checked) > hang_after + _TIME_TO_REPLACE:
            return f"A worker process has hung for {age:.0f} s."
        return None

    def ready() -> str | None:
        idle = [
            sample.labels["queue"]
            for metric in registry.collect()
            if metric.name == "callboard_worker_consuming"
            for sample in metric.samples
            if not sample.value
        ]
        if idle:
            return f"Not consumed: {', '.join(sorted(idle))}."
        count = registry.get_sample_value("callboard_worker_ready_processes") or 0
        return live() if count >= processes else f"{count:.0f} of {processes} worker processes take jobs."

    return {LIVE: live, READY: ready}


def dispatcher_probes(dispatcher: Dispatcher) -> Mapping[str, Probe]:
    """Return the probes of a dispatcher process. Live: its thread runs. Ready: its last round succeeded."""

    def live() -> str | None:
        return None if dispatcher.alive else "The dispatcher's thread has died."

    def ready() -> str | None:
        return live() or (None if dispatcher.ready else "PostgreSQL or RabbitMQ is away.")

    return {LIVE: live, READY: ready}
