"""``python -m bench [--only PARTS] [--quick]``: measure, and write the report."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench.effort import FULL, QUICK, Effort
from bench.machine import describe, load_average
from bench.parts import PARTS, MeasurePart
from bench.parts.history import measure_history
from bench.report import write_report
from bench.results import Results, read_results
from bench.services import private_services

_HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure Callboard and what it is compared with."
    )
    parser.add_argument("--only", type=_parts, help=f"parts, separated by commas: {', '.join(PARTS)}; default: all")
    parser.add_argument("--history", type=int, metavar="JOBS", help="only this: with a history of so many jobs")
    parser.add_argument("--quick", action="store_true", help="one round of little: does it run at all?")
    parser.add_argument(
        "--output", type=Path, default=_HERE, help="directory of the report, made if need be; default: bench/"
    )
    parser.add_argument("--render", action="store_true", help="only write the report anew, from its report.json")
    arguments = parser.parse_args()
    # So that a termination, too, stops all that runs and removes its files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    arguments.output.mkdir(parents=True, exist_ok=True)
    results = read_results(arguments.output)
    if not arguments.render:
        parts = {name: PARTS[name] for name in arguments.only or PARTS}
        if arguments.history:
            parts = {"history": partial(measure_history, jobs=arguments.history)}
        measure(results, parts, QUICK if arguments.quick else FULL, arguments.output)
    write_report(results, arguments.output)


def measure(results: Results, parts: Mapping[str, MeasurePart], effort: Effort, output: Path) -> None:
    """Measure parts anew; the others stay. What is found is written after each part."""
    with private_services() as services:
        results.machine = describe(services)
        for name, measure_part in parts.items():
            load_before, began = load_average(), time.monotonic()
            sys.stderr.write(f"-- {name}\n")
            part = measure_part(services, effort)
            part.load_before = load_before
            part.measured_at = datetime.now(UTC).isoformat(timespec="minutes")
            part.seconds = round(time.monotonic() - began)
            sys.stderr.write(f"-- {name} took {part.seconds:.0f} s\n")
            results.parts[name] = part
            results.write(output)


def _parts(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(PARTS):
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return names


if __name__ == "__main__":
    main()
