"""The report: what is written can be read again, and says what was found."""

from __future__ import annotations

from pathlib import Path

from bench.goals import outcomes
from bench.parts.http import EMPTY_GET, POLL_LIVE
from bench.report import report_text
from bench.results import Figure, Part, Results, Series, read_results


def some_results(*, polls: list[float]) -> Results:
    part = Part(rounds=2, cpu_ms={"Callboard": {"worker": 0.5, "postgresql": 0.25}}, measured_at="2026-11-22T10:00")
    part.figures[EMPTY_GET] = Figure([1000.0, 4000.0], "requests/s")
    part.figures[POLL_LIVE] = Figure(polls, "requests/s", EMPTY_GET)
    part.series["queues"] = Series(
        "Queues", "queues", "jobs/s", [1.0, 10.0], {"Callboard": [[10.0, 12.0], [9.0, 11.0]]}
    )
    return Results({"processor": "2 × some"}, {"http": part})


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    results = some_results(polls=[700.0, 2800.0])
    results.write(tmp_path)
    assert read_results(tmp_path) == results


def test_nothing_measured_yet(tmp_path: Path) -> None:
    assert read_results(tmp_path) == Results({}, {})


def test_ratio_is_taken_within_each_round() -> None:
    """Rates that drift fourfold between rounds give one ratio all the same."""
    (outcome,) = outcomes(some_results(polls=[700.0, 2800.0]))
    assert outcome.compared == [0.7, 0.7]
    assert outcome.met


def test_missed_goal_is_said() -> None:
    report = report_text(some_results(polls=[500.0, 2000.0]))
    assert "| polls of live jobs | 1,250 [500–2,000] requests/s | " in report
    assert "| **0.50 [0.50–0.50]** | ≥ 0.6 | **no** |" in report


def test_costs_are_summed_and_charts_shown() -> None:
    report = report_text(some_results(polls=[700.0, 2800.0]))
    assert "| Callboard | 0.250 | 0.500 | 0.750 |" in report
    assert "![Queues](charts/queues.svg)" in report
