"""The guard: what counts as a loss, and what it says about one."""

from __future__ import annotations

from collections.abc import Collection

import orjson

from bench.goals import GOALS
from bench.guard import COMMITTED, PER_CPU, Loss, best_of, complaint, losses

POLLS = "polls of live jobs"
DRAIN = "no-op jobs through RabbitMQ, 1 × 32 threads"


def test_quarter_less_is_tolerated_and_more_is_not() -> None:
    committed = {"submissions": 0.8, "polls": 0.8}
    assert losses(committed, {"submissions": 0.61, "polls": 0.59}) == [Loss("polls", 0.8, 0.59)]


def test_measure_that_is_gone_is_a_loss() -> None:
    assert losses({"polls": 0.8}, {}) == [Loss("polls", 0.8, 0.0)]


def measured(*attempts: dict[str, float]) -> tuple[dict[str, float], list[set[str]]]:
    """Return what is found when the attempts give this, and which parts each was asked for."""
    coming, asked = iter(attempts), list[set[str]]()

    def measure(parts: Collection[str]) -> dict[str, float]:
        asked.append(set(parts))
        return next(coming)

    return best_of(measure, {POLLS: 0.8, DRAIN: 0.8}), asked


def test_nothing_lost_is_measured_once() -> None:
    assert measured({POLLS: 0.7, DRAIN: 0.9}) == ({POLLS: 0.7, DRAIN: 0.9}, [{"drain", "http"}])


def test_part_with_a_loss_is_measured_again_and_noise_passes() -> None:
    found, asked = measured({POLLS: 0.5, DRAIN: 0.9}, {POLLS: 0.7})
    assert found == {POLLS: 0.7, DRAIN: 0.9}
    assert asked == [{"drain", "http"}, {"http"}]


def test_loss_that_stays_is_believed_after_three_attempts() -> None:
    found, asked = measured({POLLS: 0.5, DRAIN: 0.9}, {POLLS: 0.4}, {POLLS: 0.55})
    assert found == {POLLS: 0.55, DRAIN: 0.9}
    assert len(asked) == 3


def test_complaint_names_measure_figures_and_way_out() -> None:
    text = complaint([Loss("polls of live jobs", 0.8, 0.4)])
    assert "polls of live jobs: 0.40 of the baseline, 0.80 when committed; 50% less" in text
    assert "make bench-guard FLAGS=--record" in text


def test_committed_measures_are_goals() -> None:
    committed = orjson.loads(COMMITTED.read_bytes())
    assert {name.removesuffix(PER_CPU) for name in committed} <= {goal.name for goal in GOALS if goal.baseline}
    assert committed
