"""``python -m bench.guard [--record]``: fail if Callboard has become much slower than the committed figures say.

What is compared are ratios to Dramatiq alone and to an empty endpoint, measured in turns and with all processes on one
core: so they are ratios of work, which hold on other machines, and on a busy one. With more cores it depends on who
finds one free, and the same code was at half and at nine tenths of the empty endpoint.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

import orjson

from bench.drains import Shape
from bench.effort import FULL
from bench.goals import GOALS, outcomes
from bench.parts import MeasurePart
from bench.parts.drain import measure_drain
from bench.parts.http import measure_http
from bench.results import Results
from bench.services import Services, private_services

COMMITTED: Final = Path(__file__).parent / "guard.json"
#: A ratio may fall to this share of the committed one.
TOLERATED: Final = 0.75

#: What follows the name of a measure, of the ratio of what a second of CPU time yields.
PER_CPU: Final = ", per CPU second"
#: How often a measure is taken before its loss is believed: noise passes, a loss stays.
ATTEMPTS: Final = 3

# Short rounds, many of them: what else the machine does changes from second to second.
_EFFORT: Final = replace(FULL, rounds=9, jobs=1500, shapes=(Shape(1, 32),), http_seconds=0.5)
_PARTS: Final[Mapping[str, MeasurePart]] = {"drain": measure_drain, "http": measure_http}


@dataclass(frozen=True, slots=True)
class Loss:
    """A measure that has become too slow."""

    measure: str
    committed: float
    found: float

    def __str__(self) -> str:
        lost = 1 - self.found / self.committed
        return f"{self.measure}: {self.found:.2f} of the baseline, {self.committed:.2f} when committed; {lost:.0%} less"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.guard", description="Fail if Callboard became slower.")
    parser.add_argument("--record", action="store_true", help="write bench/guard.json anew instead of comparing")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    share_one_core()
    with private_services() as services:
        if arguments.record:
            rounds = [measure(services, _PARTS) for _ in range(ATTEMPTS)]
            typical = {name: round(median(each[name] for each in rounds), 2) for name in rounds[0]}
            COMMITTED.write_bytes(orjson.dumps(typical, option=orjson.OPT_INDENT_2) + b"\n")
            return 0
        committed: dict[str, float] = orjson.loads(COMMITTED.read_bytes())
        found = best_of(lambda parts: measure(services, parts), committed)
    for name, ratio in found.items():
        sys.stdout.write(f"{name}: {ratio:.2f} of the baseline, {committed.get(name, 0):.2f} when committed\n")
    if lost := losses(committed, found):
        sys.stderr.write(complaint(lost))
        return 1
    return 0


def share_one_core() -> None:
    """Keep this process and all that it starts to one core, where the system can (Linux)."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def measure(services: Services, parts: Collection[str]) -> dict[str, float]:
    """Return by measure the ratio to its baseline: of the rates, and of what a second of CPU time yields."""
    results = Results({}, {name: _PARTS[name](services, _EFFORT) for name in parts})
    found = {}
    for each in outcomes(results):
        goal, cpu = each.goal, results.parts[each.goal.part].cpu_ms
        if goal.baseline:
            found[goal.name] = median(each.compared)
            found[f"{goal.name}{PER_CPU}"] = sum(cpu[goal.baseline].values()) / sum(cpu[goal.figure].values())
    return found


def best_of(
    measure: Callable[[Collection[str]], Mapping[str, float]], committed: Mapping[str, float]
) -> dict[str, float]:
    """Measure the parts, and again those in which something was lost; return the best ratio of each measure."""
    found: dict[str, float] = {}
    parts: Collection[str] = _PARTS
    for _ in range(ATTEMPTS):
        for name, ratio in measure(parts).items():
            found[name] = max(ratio, found.get(name, 0.0))
        lost = {each.measure for each in losses(committed, found)}
        parts = {goal.part for goal in GOALS if lost & {goal.name, f"{goal.name}{PER_CPU}"}}
        if not parts:
            break
    return found


def losses(committed: Mapping[str, float], found: Mapping[str, float]) -> list[Loss]:
    """Return the measures that have lost more than is tolerated. One that is no longer measured has lost all."""
    compared = (Loss(name, ratio, found.get(name, 0.0)) for name, ratio in committed.items())
    return [each for each in compared if each.found < each.committed * TOLERATED]


def complaint(lost: list[Loss]) -> str:
    """Say what became slower, and what to do about it."""
    return "\n".join(
        [
            f"Callboard has become slower, by more than {1 - TOLERATED:.0%}:",
            *(f"  {each}" for each in lost),
            "`python -m bench --only drain,http` shows where the time goes. Should the loss be worth it, write",
            "bench/guard.json anew with `make bench-guard FLAGS=--record` and commit it with the reason.",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
