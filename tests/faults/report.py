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
    "working after",
    "caught up after",
)


def table(results: Sequence[Result], *, command: str, versions: str) -> str:
    """Return the results as Markdown."""
    lines = [
        f"`{command}`, on {versions}.",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "|---" + "|--:" * (len(_COLUMNS) - 1) + "|",
        *(f"| {' | '.join(_cells(result))} |" for result in results),
        f"| **all {len(results)}** | {' | '.join(_totals(results))} | | |",
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
    return [
        result.scenario.title,
        *(f"{count:,}" for count in _counts(result)),
        _seconds(result.findings.working_after, result.scenario.within),
        _seconds(result.findings.caught_up_after, result.scenario.caught_up_within),
    ]


def _seconds(took: float, bound: float | None) -> str:
    return f"{took:.1f} s" if bound is None else f"{took:.1f} s (≤ {bound:g})"


def _totals(results: Sequence[Result]) -> list[str]:
    return [f"**{sum(column):,}**" for column in zip(*map(_counts, results), strict=True)]
