"""The report as Markdown, from the results."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench import report_texts as texts
from bench.goals import outcomes
from bench.peer_drain import PYTHON
from bench.peer_list import PEERS
from bench.results import Figure, Part, Results
from bench.rounds import Spread, ratios

_QUIET: Final = 1.5


def write_report(results: Results, directory: Path) -> None:
    """Write ``report.md`` and its charts beside ``report.json``."""
    subprocess.run([PYTHON, "-m", "bench.charts", str(directory)], check=True)
    (directory / "report.md").write_text(report_text(results))


def report_text(results: Results) -> str:
    """Return the report."""
    lines = [texts.HEAD, *_goals(results), ""]
    for name in texts.TITLES:
        if name not in results.parts:
            continue
        part = results.parts[name]
        lines += [f"## {texts.TITLES[name]}", "", texts.EXPLANATIONS[name], "", *_figures(part), ""]
        if name == "peers":
            lines += [*_peers(), ""]
        if part.cpu_ms:
            lines += [*_costs("CPU time of each, ms", part.cpu_ms, 3), ""]
        if name in texts.WITH_MEMORY:
            lines += [*_costs("memory, MB", part.memory_mb, 0), ""]
        for key, series in part.series.items():
            lines += [f"![{series.title}](charts/{key}.svg)", ""]
    return "\n".join([*lines, *_measured_on(results), ""])


def _goals(results: Results) -> list[str]:
    lines = ["| goal | Callboard | beside it | ratio | bound | met |", "|---|---|---|---|---|---|"]
    for each in outcomes(results):
        goal = each.goal
        ratio, beside = "", ""
        if each.baseline is not None:
            ratio, beside = f"**{_shown(each.compared, 2)}**", f"{goal.baseline}: {_shown(each.baseline.values)}"
        bound = f"{'≤' if goal.at_most else '≥'} {goal.bound:,g}"
        mine = f"{_shown(each.figure.values)} {each.figure.unit}"
        lines.append(f"| {goal.name} | {mine} | {beside} | {ratio} | {bound} | {'yes' if each.met else '**no**'} |")
    return lines


def _figures(part: Part) -> list[str]:
    if not part.figures:
        return []
    lines = ["| | median [lowest–highest] | of |", "|---|---|---|"]
    for name, figure in part.figures.items():
        lines.append(f"| {name} | {_shown(figure.values)} {figure.unit} | {_ratio(figure, part)} |")
    return lines


def _ratio(figure: Figure, part: Part) -> str:
    if not figure.baseline:
        return ""
    found = ratios(figure.values, part.figures[figure.baseline].values)
    return f"{_shown(found, 2)} of *{figure.baseline}*"


def _costs(what: str, costs: Mapping[str, Mapping[str, float]], digits: int) -> list[str]:
    parts = sorted({part for each in costs.values() for part in each})
    lines = [f"| {what} | {' | '.join(parts)} | sum |", f"|---|{'---|' * len(parts)}---|"]
    for name, each in costs.items():
        if not each:
            continue  # not measured: what answers requests keeps its memory
        cells = " | ".join(f"{each[part]:.{digits}f}" if part in each else "" for part in parts)
        lines.append(f"| {name} | {cells} | {sum(each.values()):.{digits}f} |")
    return lines


def _peers() -> list[str]:
    lines = ["| | set up as | what it leaves out |", "|---|---|---|"]
    return lines + [f"| {peer.name} | {peer.setup} | {peer.lacks} |" for peer in PEERS]


def _measured_on(results: Results) -> list[str]:
    lines = ["## Measured on", "", *(f"- {name}: {value}" for name, value in results.machine.items()), ""]
    lines += ["| part | rounds | measured | took | load average before |", "|---|---|---|---|---|"]
    for name, part in results.parts.items():
        load = f"{part.load_before:.1f}"
        if part.load_before > _QUIET:
            load = f"**{load}: the machine was busy; take the ratios, not the rates**"
        lines.append(f"| {name} | {part.rounds} | {part.measured_at} | {part.seconds:.0f} s | {load} |")
    return lines


def _shown(values: Sequence[float], digits: int | None = None) -> str:
    spread = Spread.of(values)
    if digits is None:
        digits = 0 if abs(spread.median) >= 100 else 2
    text = f"{spread.median:,.{digits}f}"
    return text if len(values) == 1 else f"{text} [{spread.lowest:,.{digits}f}–{spread.highest:,.{digits}f}]"
