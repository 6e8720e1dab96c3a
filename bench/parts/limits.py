"""What priorities and limits of a queue cost: the same backlog with and without them."""

from __future__ import annotations

from collections.abc import Callable

from bench.callboard_drain import Callboard, Make, callboard_on_rabbitmq, new_job, noops
from bench.drains import Measured, Shape
from bench.effort import Effort
from bench.parts.drain import add_measured
from bench.results import Part
from bench.services import Services
from callboard.db.transitions import NewJob

PLAIN = "one priority, no limits"
PRIORITIES = "ten priorities, mixed"
CONCURRENCY = "at most 64 at a time"
RATE = "at most 1,000,000 starts a minute"
ALL = "priorities and both limits"

SHAPE = Shape(1, 32)
NO_LIMITS: dict[str, object] = {"concurrency_limit": None, "rate_limit": None, "rate_period": None}
_AT_A_TIME: dict[str, object] = {"concurrency_limit": 64}
# Never reached: what counts is the counting.
_A_MINUTE: dict[str, object] = {"rate_limit": 1_000_000, "rate_period": 60.0}
BOTH_LIMITS = _AT_A_TIME | _A_MINUTE


def measure_limits(services: Services, effort: Effort) -> Part:
    part = Part(effort.rounds)
    with callboard_on_rabbitmq(services, SHAPE) as callboard:

        def drain(make: Make, limits: dict[str, object]) -> Callable[[], Measured]:
            return lambda: drain_within(callboard, effort.jobs, make, limits)

        contestants = {
            PLAIN: drain(noops, {}),
            PRIORITIES: drain(prioritised, {}),
            CONCURRENCY: drain(noops, _AT_A_TIME),
            RATE: drain(noops, _A_MINUTE),
            ALL: drain(prioritised, BOTH_LIMITS),
        }
        add_measured(part, contestants, dict.fromkeys(contestants, PLAIN))
    return part


def drain_within(callboard: Callboard, jobs: int, make: Make, limits: dict[str, object]) -> Measured:
    callboard.set_queues(**NO_LIMITS | limits)
    return callboard.drain(jobs, make)


def prioritised(jobs: int, owner: str) -> list[NewJob]:
    return [new_job(owner, priority=number % 10) for number in range(jobs)]
