"""Prometheus metrics of dispatchers. Labels are queues.

Apart from those of workers: a process shows only what it is, as a series that is always 0 would be taken for a finding.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from callboard.actors.metrics import JOBS_FINISHED

# A second series beside each, which says when it began: nothing reads it.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: All of them.
REGISTRY: Final = CollectorRegistry()

PUBLISHED: Final = Counter(
    "callboard_dispatched", "Messages that the broker confirmed, repetitions included.", ["queue"], registry=REGISTRY
)
DISPATCH_ROUND: Final = Histogram(
    "callboard_dispatch_round_seconds",
    "From taking queues that have due jobs to having marked what the broker confirmed.",
    registry=REGISTRY,
)
REGISTRY.register(JOBS_FINISHED)
BROKER_FAILURES: Final = Counter(
    "callboard_broker_failures", "Rounds of dispatch that the broker made fail.", registry=REGISTRY
)
