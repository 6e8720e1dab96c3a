"""The table of docs/reliability.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.faults.run import Result

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_BEGIN, _END = "<!-- faults: begin -->\n", "<!-- faults: end -->\n"
_COLUMNS = (
    "fault",
    "jobs",
    "lost",
    "stuck",
    "two outcomes",
    "wrong",
    "submitted twice",
    "overlapped",
    "doubled",
    "repeated",
    "fenced",
    "back after",
)


def table(results: Sequence[Result], *, command: str, versions: str) -> str:
    """Return the results as Markdown."""
    lines = [
        f"`{command}`, on {versions}.",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "|---" + "|--:" * (len(_COLUMNS) - 1) + "|",
        *(f"| {' | '.join(_cells(result))} |" for result in results),
        f"| **all {len(results)}** | {' | '.join(_totals(results))} | |",
    ]
    return "\n".join(lines) + "\n"


def write(text: str, page: Path = PAGE) -> None:
    """Put the table between its marks."""
    before, rest = page.read_text(encoding="utf-8").split(_BEGIN)
    _, after = rest.split(_END)
    page.write_text(f"{before}{_BEGIN}{text}{_END}{after}", encoding="utf-8")


def _counts(result: Result) -> list[int]:
    found = result.findings
    return [
        found.accepted,
        len(found.lost),
        len(found.stuck),
        len(found.two_outcomes),
        len(found.wrong),
        len(found.submitted_twice),
        len(found.overlapped),
        len(found.doubled),
        found.repeated,
        found.fenced,
    ]


def _cells(result: Result) -> list[str]:
    within = result.scenario.within
    bound = "" if within is None else f" (≤ {within:g})"
    return [
        f"{result.scenario.group}: {result.scenario.name}",
        *(f"{count:,}" for count in _counts(result)),
        f"{result.findings.recovered_after:.1f} s{bound}",
    ]


def _totals(results: Sequence[Result]) -> list[str]:
    return [f"**{sum(column):,}**" for column in zip(*map(_counts, results), strict=True)]
