"""Jobs that do nothing: Callboard on RabbitMQ and embedded, beside Dramatiq alone, in several shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from bench.callboard_drain import callboard_embedded, callboard_on_rabbitmq
from bench.drains import Contestant, Measured
from bench.dramatiq_drain import raw_dramatiq
from bench.effort import Effort
from bench.results import Figure, Part
from bench.rounds import in_turns
from bench.services import Services

RAW = "Dramatiq alone"
ON_RABBITMQ = "Callboard on RabbitMQ"
EMBEDDED = "Callboard embedded"


def measure_drain(services: Services, effort: Effort) -> Part:
    part = Part(effort.rounds)
    for shape in effort.shapes:
        raw = f"{RAW}, {shape}"
        with ExitStack() as stack:
            contestants: dict[str, Contestant] = {
                raw: stack.enter_context(raw_dramatiq(services, shape)),
                f"{ON_RABBITMQ}, {shape}": stack.enter_context(callboard_on_rabbitmq(services, shape)),
            }
            if shape.processes == 1:
                name = f"{EMBEDDED}, {shape}"
                contestants[name] = stack.enter_context(callboard_embedded(services, shape.threads))
            drains = {name: _drain(each, effort.jobs) for name, each in contestants.items()}
            add_measured(part, drains, dict.fromkeys(drains, raw))
    return part


def add_measured(
    part: Part,
    contestants: Mapping[str, Callable[[], Measured]],
    baselines: Mapping[str, str],
    units: Mapping[str, str] | None = None,
) -> None:
    """Have all contestants work in turns, and keep their rates (jobs/s unless ``units`` say) and what they cost."""
    costs: dict[str, list[Measured]] = {name: [] for name in contestants}

    def rate(name: str) -> float:
        costs[name].append(contestants[name]())
        return costs[name][-1].per_second

    rates = in_turns({name: partial(rate, name) for name in contestants}, part.rounds)
    for name, values in rates.items():
        baseline = baselines.get(name, "")
        part.figures[name] = Figure(values, (units or {}).get(name, "jobs/s"), "" if baseline == name else baseline)
    part.add_costs(costs)


def _drain(contestant: Contestant, jobs: int) -> Callable[[], Measured]:
    return lambda: contestant.drain(jobs)
