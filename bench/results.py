"""What is measured: figures by round, and how they change with a size; as values and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from bench.drains import Measured

_DIRECTORY = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure, a value a round."""

    values: list[float]
    unit: str
    baseline: str = ""
    """Name of the figure of the same part that it is compared with, round by round; empty: none."""


@dataclass(frozen=True, slots=True)
class Series:
    """How something changes with a size: what one chart shows."""

    title: str
    size: str
    """What the x axis counts."""
    unit: str
    sizes: list[float]
    lines: dict[str, list[list[float]]]
    """By name, for each size the values of all rounds."""


@dataclass(slots=True)
class Part:
    """What one part of the benchmark found."""

    rounds: int
    figures: dict[str, Figure] = field(default_factory=dict)
    cpu_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    """Milliseconds of CPU time per job, by contestant and part of the system; medians."""
    memory_mb: dict[str, dict[str, float]] = field(default_factory=dict)
    """Megabytes at the end of a backlog, by contestant and part of the system; medians."""
    series: dict[str, Series] = field(default_factory=dict)
    measured_at: str = ""
    seconds: float = 0.0
    load_before: float = 0.0
    """Load average of the last minute when the part began; well below 1 on a quiet machine."""

    def add_costs(self, costs: Mapping[str, list[Measured]]) -> None:
        """Keep what the backlogs of each contestant cost."""
        for name, rounds in costs.items():
            self.cpu_ms[name] = _medians([each.cpu_ms_per_job for each in rounds])
            self.memory_mb[name] = _medians([each.memory_mb for each in rounds])


@dataclass(slots=True)
class Results:
    """All parts, each of the last run that measured it, and the machine of the last run."""

    machine: dict[str, str]
    parts: dict[str, Part]

    def write(self, directory: Path = _DIRECTORY) -> None:
        """Write ``report.json``."""
        path = directory / "report.json"
        path.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2) + b"\n")


def read_results(directory: Path = _DIRECTORY) -> Results:
    """Read ``report.json``; no results where there is none."""
    path = directory / "report.json"
    if not path.exists():
        return Results({}, {})
    found = orjson.loads(path.read_bytes())
    return Results(found["machine"], {name: _part(part) for name, part in found["parts"].items()})


def _part(found: dict[str, Any]) -> Part:
    figures = {name: Figure(**each) for name, each in found.pop("figures").items()}
    series = {name: Series(**each) for name, each in found.pop("series").items()}
    return Part(figures=figures, series=series, **found)


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {part: median(each[part] for each in rounds) for part in rounds[0]} if rounds else {}
