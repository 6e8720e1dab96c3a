"""The same with a long history as without one: not of `make bench`, as making the history takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median

from bench.api import load_generator, serving_api
from bench.callboard_drain import Callboard, Make, callboard_on_rabbitmq, noops
from bench.drains import Measured, Shape
from bench.effort import Effort
from bench.history import prepare
from bench.parts.drain import ON_RABBITMQ, add_measured
from bench.parts.http import BULK, Target, api_loads
from bench.parts.latency import HALF_RABBITMQ, IDLE_RABBITMQ, capacity, idle_latencies, keep_quantiles, lags_at
from bench.parts.limits import BOTH_LIMITS, NO_LIMITS, drain_within, prioritised
from bench.parts.mix import mixed
from bench.parts.statements import count_statements, statements_logged
from bench.processes import Child, stopping
from bench.results import Figure, Part
from bench.rounds import in_turns
from bench.services import Services
from callboard.db.settings import Settings

EMPTY = "empty database"
FULL = "with the history"
GENERATED = "finished jobs in the history"
MIXED = f"{ON_RABBITMQ}, the realistic mix"
WITHIN_LIMITS = f"{ON_RABBITMQ}, priorities and both limits"
_STATEMENTS = "SQL statements"

_SHAPE = Shape(1, 32)


@dataclass(frozen=True, slots=True)
class _Side:
    """Dispatcher, worker and api on one of the two databases."""

    callboard: Callboard
    port: int
    api: int
    """Its process id."""

    @property
    def settings(self) -> Settings:
        return self.callboard.settings

    def drain(self, jobs: int, make: Make, limits: dict[str, object]) -> Callable[[], Measured]:
        return lambda: drain_within(self.callboard, jobs, make, limits)

    def loads(self, services: Services, generator: Child, seconds: float) -> dict[str, Callable[[], Measured]]:
        self.callboard.pause(paused=True)
        target = Target(generator, self.port, {"api": [self.api]} | services.parts)
        return api_loads(target, self.settings, seconds=seconds)


def measure_history(services: Services, effort: Effort, jobs: int) -> Part:
    """Measure the same on a database with so many finished jobs and on an empty one, in turns."""
    long, short = services.new_database(), services.new_database()
    generated = prepare(long, jobs)
    with _side(services, short) as empty, _side(services, long) as full:
        part = _compare(services, effort, {EMPTY: empty, FULL: full})
    part.figures[GENERATED] = Figure([float(generated)], "jobs")
    return part


def _compare(services: Services, effort: Effort, sides: dict[str, _Side]) -> Part:
    """Measure drains and latencies first: the submissions leave jobs that wait, which would be worked off before."""
    part = Part(effort.history_rounds)
    for side in sides.values():
        side.drain(effort.history_jobs, noops, {})()  # what is read for the first time since it was made
    for name, jobs, make, limits in (
        (ON_RABBITMQ, effort.history_jobs, noops, {}),
        (MIXED, effort.jobs, mixed, {}),
        (WITHIN_LIMITS, effort.jobs, prioritised, BOTH_LIMITS),
    ):
        _add(part, {f"{name}, {kind}": side.drain(jobs, make, limits) for kind, side in sides.items()})
    with statements_logged(services):
        for kind, side in sides.items():
            work, _ = count_statements(services, side.callboard, effort.jobs)
            part.figures[f"{_STATEMENTS}, {kind}"] = Figure([work], "statements a job")
    with stopping([load_generator(services)]) as (generator,):
        _add_latencies(part, sides, generator, effort)
        loads = {kind: side.loads(services, generator, effort.http_seconds) for kind, side in sides.items()}
        # What is compared follows each other at once: a machine that others use drifts.
        _add(part, {f"{name}, {kind}": loads[kind][name] for name in loads[EMPTY] for kind in sides})
    return part


def _add_latencies(part: Part, sides: dict[str, _Side], generator: Child, effort: Effort) -> None:
    for side in sides.values():
        side.callboard.set_queues(**NO_LIMITS, paused=False)
    settings, port = sides[EMPTY].settings, sides[EMPTY].port
    half = capacity(settings, port, generator, effort.load_seconds) / 2
    asked: dict[str, Callable[[_Side], list[float]]] = {
        IDLE_RABBITMQ: lambda side: idle_latencies(side.port, effort.latencies),
        HALF_RABBITMQ: lambda side: lags_at(half, side.settings, side.port, generator, effort),
    }
    for name, ask in asked.items():
        rounds: dict[str, list[list[float]]] = {kind: [] for kind in sides}

        def one(kind: str, ask: Callable[[_Side], list[float]], rounds: dict[str, list[list[float]]]) -> float:
            rounds[kind].append(ask(sides[kind]))
            return median(rounds[kind][-1])

        in_turns({f"{name}, {kind}": partial(one, kind, ask, rounds) for kind in sides}, part.rounds)
        for kind in sides:
            keep_quantiles(part, f"{name}, {kind}", rounds[kind], beside=_baseline(f"{name}, {kind}"))


def _add(part: Part, contestants: dict[str, Callable[[], Measured]]) -> None:
    of_jobs = (ON_RABBITMQ, BULK)
    units = {name: "jobs/s" if name.startswith(of_jobs) else "requests/s" for name in contestants}
    add_measured(part, contestants, {name: _baseline(name) for name in contestants}, units)


def _baseline(name: str) -> str:
    return name.removesuffix(FULL) + EMPTY if name.endswith(FULL) else ""


@contextmanager
def _side(services: Services, settings: Settings) -> Iterator[_Side]:
    with ExitStack() as stack:
        callboard = stack.enter_context(callboard_on_rabbitmq(services, _SHAPE, settings=settings))
        port, system = stack.enter_context(serving_api(services, settings))
        yield _Side(callboard, port, system.children["api"][0].pid)
