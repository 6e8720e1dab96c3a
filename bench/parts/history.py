"""The same with a long history as without one: not of `make bench`, as making the history takes long."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from bench.api import load_generator, serving_api
from bench.callboard_drain import Callboard, callboard_on_rabbitmq
from bench.drains import Measured, Shape
from bench.effort import Effort
from bench.history import prepare
from bench.parts.drain import ON_RABBITMQ, add_measured
from bench.parts.http import BULK, Target, api_loads
from bench.processes import stopping
from bench.results import Figure, Part
from bench.services import Services

EMPTY = "empty database"
FULL = "with the history"
GENERATED = "finished jobs in the history"

_SHAPE = Shape(1, 32)


def measure_history(services: Services, effort: Effort, jobs: int) -> Part:
    """Measure drain, submissions and polls on a database with so many finished jobs, in turns with an empty one."""
    part = Part(effort.rounds)
    contestants: dict[str, Callable[[], Measured]] = {}
    with ExitStack() as stack:
        (generator,) = stack.enter_context(stopping([load_generator(services)]))
        for kind in (EMPTY, FULL):
            settings = services.new_database()
            if kind == FULL:
                part.figures[GENERATED] = Figure([float(prepare(settings, jobs))], "jobs")
            callboard = stack.enter_context(callboard_on_rabbitmq(services, _SHAPE, settings=settings))
            contestants[f"{ON_RABBITMQ}, {kind}"] = _drain(callboard, effort.jobs)
            port, system = stack.enter_context(serving_api(services, settings))
            target = Target(generator, port, {"api": [system.children["api"][0].pid]} | services.parts)
            for name, load in api_loads(target, settings, seconds=effort.http_seconds).items():
                contestants[f"{name}, {kind}"] = load
        baselines = {name: name.removesuffix(FULL) + EMPTY for name in contestants if name.endswith(FULL)}
        jobs_per_second = (ON_RABBITMQ, BULK)
        units = {name: "jobs/s" if name.startswith(jobs_per_second) else "requests/s" for name in contestants}
        add_measured(part, contestants, baselines, units)
    return part


def _drain(callboard: Callboard, jobs: int) -> Callable[[], Measured]:
    return lambda: callboard.drain(jobs)
