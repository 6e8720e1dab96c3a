"""The report: one table, what it was measured on, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from bench.rounds import Spread

_DIRECTORY = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table. What there is no baseline for has no ratio."""

    name: str
    unit: str
    callboard: Spread
    goal: str
    met: bool
    baseline_name: str = ""
    baseline: Spread | None = None
    ratio: Spread | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All that one run found."""

    command: str
    machine: Mapping[str, str]
    load_before: float
    rounds: int
    measures: Sequence[Measure]
    cpu: Mapping[str, Mapping[str, float]]
    """Milliseconds of CPU time per job, by contestant and part of the system."""

    def write(self, directory: Path = _DIRECTORY) -> None:
        """Write ``report.md`` and ``report.json``."""
        (directory / "report.json").write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2) + b"\n")
        (directory / "report.md").write_text(self.text())

    def text(self) -> str:
        """Return the report as Markdown."""
        return "\n".join(
            [
                "# First figures",
                "",
                f"Written by `{self.command}`. Everything runs on one machine, side by side: servers, Callboard,",
                f"and what measures them. Each figure is the median of {self.rounds} rounds, taken in turns with its",
                "baseline (lowest to highest in brackets). A ratio compares within a round, so it holds where rates",
                "drift.",
                "",
                *self._table(),
                "",
                "*Dramatiq alone* is its own worker with its default middleware, on the same RabbitMQ, with as many",
                "processes and threads, and persistent messages published before the clock started; nothing is stored",
                "about them. *Empty POST* and *empty GET* are FastAPI endpoints that return a constant, under the same",
                "server settings (uvloop, httptools, one process). In Callboard's drain the dispatcher publishes",
                "within the measured time, with confirms; claims and ends of jobs are committed to disk.",
                "",
                "## Where the CPU time of a job goes",
                "",
                *self._cpu_table(),
                "",
                "Two cores have 2,000 ms a second to give, so the sum bounds the rate.",
                "",
                "## Measured on",
                "",
                *(f"- {name}: {value}" for name, value in self.machine.items()),
                f"- load average before the run: {self.load_before:.1f}"
                + (" (**the machine was busy: take the ratios, not the rates**)" if self.load_before > 1 else ""),
                "",
            ]
        )

    def _table(self) -> list[str]:
        lines = ["| measure | Callboard | baseline | ratio | goal | met |", "|---|---|---|---|---|---|"]
        for each in self.measures:
            baseline = f"{each.baseline_name}: {_spread(each.baseline, '')}" if each.baseline else ""
            ratio = f"**{each.ratio.median:.2f}** [{_range(each.ratio, 2)}]" if each.ratio else ""
            met = "yes" if each.met else "no"
            lines.append(
                f"| {each.name} | {_spread(each.callboard, each.unit)} | {baseline} | {ratio} | {each.goal} | {met} |"
            )
        return lines

    def _cpu_table(self) -> list[str]:
        parts = sorted({part for costs in self.cpu.values() for part in costs})
        lines = [f"| ms per job | {' | '.join(parts)} | sum |", f"|---|{'---|' * len(parts)}---|"]
        for name, costs in self.cpu.items():
            cells = " | ".join(f"{costs[part]:.3f}" if part in costs else "" for part in parts)
            lines.append(f"| {name} | {cells} | {sum(costs.values()):.3f} |")
        return lines


def _spread(spread: Spread, unit: str) -> str:
    digits = 0 if spread.median >= 100 else 2
    exact = spread.lowest == spread.highest
    return f"{spread.median:,.{digits}f}{unit}" + ("" if exact else f" [{_range(spread, digits)}]")


def _range(spread: Spread, digits: int) -> str:
    return f"{spread.lowest:,.{digits}f}–{spread.highest:,.{digits}f}"
