"""What Callboard is to reach, and whether a run reached it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from bench.parts.drain import EMBEDDED, ON_RABBITMQ, RAW
from bench.parts.history import EMPTY, FULL, MIXED, WITHIN_LIMITS
from bench.parts.http import BULK, EMPTY_GET, EMPTY_POST, POLL_FINISHED, POLL_LIVE, SUBMIT
from bench.parts.latency import IDLE_EMBEDDED, IDLE_RABBITMQ
from bench.parts.statements import BEFORE_BATCHING
from bench.peer_list import PEERS
from bench.results import Figure, Part, Results
from bench.rounds import ratios


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure, or its ratio to a baseline in the same round, that is to be at least (or at most) so much."""

    name: str
    part: str
    figure: str
    bound: float
    baseline: str = ""
    at_most: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run found about a goal."""

    goal: Goal
    figure: Figure
    baseline: Figure | None
    compared: list[float]
    """What is held against the bound, by round."""

    @property
    def met(self) -> bool:
        value = median(self.compared)
        return value <= self.goal.bound if self.goal.at_most else value >= self.goal.bound


def _drains() -> Iterator[Goal]:
    for shape in (
        "1 × 8 threads",
        "1 × 32 threads",
        "1 × 64 threads",
        "2 × 8 threads",
        "2 × 32 threads",
        "2 × 64 threads",
    ):
        name = f"no-op jobs through RabbitMQ, {shape}"
        yield Goal(name, "drain", f"{ON_RABBITMQ}, {shape}", 0.8, f"{RAW}, {shape}")
    yield Goal(
        "no-op jobs embedded, 1 × 32 threads", "drain", f"{EMBEDDED}, 1 × 32 threads", 0.8, f"{RAW}, 1 × 32 threads"
    )


def _latencies() -> Iterator[Goal]:
    for where in (IDLE_RABBITMQ, IDLE_EMBEDDED):
        for quantile, bound in ((50, 10.0), (99, 50.0)):
            name = f"submit → handler starts, {where}, p{quantile}"
            yield Goal(name, "latency", f"{where}, p{quantile}", bound, at_most=True)


GOALS = (
    *_drains(),
    *(
        Goal(f"no-op jobs, beside {peer.name}", "peers", f"{ON_RABBITMQ}, 2 × 32 threads", 1.0, peer.name)
        for peer in PEERS
    ),
    Goal("submissions, one a request", "http", SUBMIT, 0.6, EMPTY_POST),
    Goal("polls of live jobs", "http", POLL_LIVE, 0.6, EMPTY_GET),
    Goal("polls of finished jobs", "http", POLL_FINISHED, 0.6, EMPTY_GET),
    Goal("submissions, 1,000 a request", "http", BULK, 15_000),
    *_latencies(),
    Goal("SQL statements a job, before batching", "statements", BEFORE_BATCHING, 4, at_most=True),
    *(
        Goal(f"{name}, with a long history", "history", f"{name}, {FULL}", 0.95, f"{name}, {EMPTY}")
        for name in (ON_RABBITMQ, MIXED, WITHIN_LIMITS, SUBMIT, BULK, POLL_LIVE, POLL_FINISHED)
    ),
    Goal(
        "submit → handler starts, idle, p50, with a long history",
        "history",
        f"{IDLE_RABBITMQ}, {FULL}, p50",
        1.05,
        f"{IDLE_RABBITMQ}, {EMPTY}, p50",
        at_most=True,
    ),
)


def outcomes(results: Results) -> Iterator[Outcome]:
    """Yield what the measured parts say about each goal."""
    for goal in GOALS:
        part = results.parts.get(goal.part)
        if part is not None and (outcome := _outcome(goal, part)) is not None:
            yield outcome


def _outcome(goal: Goal, part: Part) -> Outcome | None:
    figure, baseline = part.figures.get(goal.figure), part.figures.get(goal.baseline)
    if figure is None or (goal.baseline and baseline is None):
        return None
    return Outcome(goal, figure, baseline, ratios(figure.values, baseline.values) if baseline else figure.values)
