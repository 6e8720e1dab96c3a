"""``python -m bench [--quick]``: measure everything and write the report."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import http
from bench.callboard_drain import callboard_embedded, callboard_on_rabbitmq
from bench.drains import Drained, Shape
from bench.dramatiq_drain import raw_dramatiq
from bench.latency import THREADS, measure_latency
from bench.machine import describe, load_average
from bench.report import Measure, Report
from bench.rounds import Spread, in_turns, ratio
from bench.services import Services, private_services
from bench.statements import count_statements


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured. Ratios of a quick run differ by a fifth from run to run."""

    rounds: int
    jobs: int
    http_seconds: float
    latencies: int
    shapes: tuple[Shape, ...]


FULL = Effort(rounds=3, jobs=6000, http_seconds=3.0, latencies=200, shapes=(Shape(1, 32), Shape(2, 64)))
QUICK = Effort(rounds=1, jobs=1500, http_seconds=0.5, latencies=30, shapes=(Shape(1, 32),))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure first figures of Callboard's cost.")
    parser.add_argument("--quick", action="store_true", help="about a minute, one round: does it run at all?")
    parser.add_argument("--output", type=Path, help="directory for the report; default: bench/")
    arguments = parser.parse_args()
    # So that a termination, too, stops all that runs and removes its files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    effort = QUICK if arguments.quick else FULL
    load_before = load_average()
    with private_services() as services:
        drains, cpu = measure_drains(services, effort)
        report = Report(
            command="make bench" if not arguments.quick else "python -m bench --quick",
            machine=describe(services),
            load_before=load_before,
            rounds=effort.rounds,
            measures=[
                *drains,
                *measure_http(services, effort),
                *measure_latencies(services, effort),
                *measure_statements(services, effort),
            ],
            cpu=cpu,
        )
    sys.stdout.write(report.text())
    if arguments.output is not None:
        report.write(arguments.output)
    else:
        report.write()


def measure_drains(services: Services, effort: Effort) -> tuple[list[Measure], dict[str, dict[str, float]]]:
    costs: dict[str, list[dict[str, float]]] = {}

    def rate(name: str, drain: Callable[[int], Drained]) -> Callable[[], float]:
        def run() -> float:
            drained = drain(effort.jobs)
            costs.setdefault(name, []).append(drained.cpu_ms_per_job)
            return drained.per_second

        return run

    results: dict[str, list[float]] = {}
    measures = []
    for shape in effort.shapes:
        raw, rabbitmq, embedded = f"Dramatiq alone, {shape}", f"through RabbitMQ, {shape}", f"embedded, {shape}"
        with ExitStack() as stack:
            contestants = {
                raw: rate(raw, stack.enter_context(raw_dramatiq(services, shape)).drain),
                rabbitmq: rate(rabbitmq, stack.enter_context(callboard_on_rabbitmq(services, shape)).drain),
            }
            if shape.processes == 1:
                system = stack.enter_context(callboard_embedded(services, shape.threads))
                contestants[embedded] = rate(embedded, system.drain)
            results |= in_turns(contestants, effort.rounds)
        measures += [
            _compared(results, name, raw, "Dramatiq alone", 0.8, f"no-op jobs {name}", " jobs/s")
            for name in (rabbitmq, embedded)
            if name in results
        ]
    return measures, {name: _medians(rounds) for name, rounds in costs.items()}


def measure_http(services: Services, effort: Effort) -> list[Measure]:
    results = http.measure_http(services, rounds=effort.rounds, seconds=effort.http_seconds)
    bulk = Spread.of(results[http.BULK])
    return [
        _compared(results, http.SUBMIT, http.EMPTY_POST, "empty POST", 0.6, "submissions, one a request", "/s"),
        _compared(results, http.POLL_LIVE, http.EMPTY_GET, "empty GET", 0.6, "polls of live jobs", "/s"),
        _compared(results, http.POLL_FINISHED, http.EMPTY_GET, "empty GET", 0.6, "polls of finished jobs", "/s"),
        Measure(
            f"submissions, {http.BULK_SIZE:,} a request", " jobs/s", bulk, "≥ 15,000 jobs/s", bulk.median >= 15_000
        ),
    ]


def measure_latencies(services: Services, effort: Effort) -> list[Measure]:
    measures = []
    for name, embedded in (("RabbitMQ", False), ("memory", True)):
        found = measure_latency(services, jobs=effort.latencies, embedded=embedded)
        for quantile, goal in ((50, 10), (99, 50)):
            value = found[min(len(found) - 1, len(found) * quantile // 100)]
            what = f"submit → handler starts, idle, messages in {name}, {THREADS} threads, p{quantile}"
            measures.append(Measure(what, " ms", Spread(value, found[0], found[-1]), f"≤ {goal} ms", value <= goal))
    return measures


def measure_statements(services: Services, effort: Effort) -> list[Measure]:
    measures = []
    for shape, jobs in ((Shape(1, 1), 200), (effort.shapes[-1], effort.jobs)):
        counted = count_statements(services, shape, jobs=jobs)
        every = counted.work + counted.transaction
        what = f"SQL statements per job, {shape} ({every:.2f} with BEGIN, COMMIT and SET)"
        measures.append(Measure(what, "", Spread(counted.work, counted.work, counted.work), "≤ 4", counted.work <= 4))
    return measures


def _compared(
    results: dict[str, list[float]], name: str, baseline: str, baseline_name: str, goal: float, what: str, unit: str
) -> Measure:
    found = ratio(results, name, baseline)
    return Measure(
        name=what,
        unit=unit,
        callboard=Spread.of(results[name]),
        goal=f"≥ {goal}",
        met=found.median >= goal,
        baseline_name=baseline_name,
        baseline=Spread.of(results[baseline]),
        ratio=found,
    )


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {part: median(each[part] for each in rounds) for part in rounds[0]}


if __name__ == "__main__":
    main()
