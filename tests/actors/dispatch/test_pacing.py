"""The pause of the dispatcher while windows are full."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.dispatch.pacing import Pacing
from callboard.db.dispatching.due import QueueLimits

WINDOW = {"q": QueueLimits(window=500, startable=None)}


def second_pause(*, drained: int, seconds: float) -> float:
    """Return the pause after the second round, in which ``drained`` of 500 messages were replaced."""
    windows = Pacing()
    windows.pause(0.0, WINDOW, {"q": 0}, {"q": 500})
    return windows.pause(seconds, WINDOW, {"q": 500 - drained}, {"q": drained})


def test_it_waits_until_half_of_the_window_is_gone() -> None:
    assert second_pause(drained=100, seconds=0.02) == pytest.approx(0.05)


def test_a_window_that_nobody_empties_is_checked_seldom() -> None:
    assert second_pause(drained=0, seconds=0.02) == 0.1


def test_an_empty_window_is_checked_soon() -> None:
    assert second_pause(drained=500, seconds=0.01) == 0.01


def test_a_queue_of_which_nothing_is_known_is_checked_soon() -> None:
    assert Pacing().pause(0.0, WINDOW, {"q": 500}, {}) == 0.01


def test_a_queue_with_a_concurrency_limit_is_checked_soon() -> None:
    limited = {"q": QueueLimits(window=500, startable=3)}
    windows = Pacing()
    windows.pause(0.0, limited, {"q": 500}, {})
    assert windows.pause(0.1, limited, {"q": 500}, {}) == 0.01


def test_the_fastest_queue_decides() -> None:
    both = WINDOW | {"slow": WINDOW["q"]}
    windows = Pacing()
    windows.pause(0.0, both, {"q": 0, "slow": 0}, {"q": 500, "slow": 500})
    pause = windows.pause(0.02, both, {"q": 400, "slow": 499}, {"q": 100, "slow": 1})
    assert pause == pytest.approx(0.05)


@given(
    rounds=st.lists(
        st.tuples(st.floats(0.001, 10), st.integers(0, 100_000), st.integers(0, 100_000)), min_size=1, max_size=20
    ),
    window=st.integers(1, 100_000),
)
def test_it_is_always_within_bounds(rounds: list[tuple[float, int, int]], window: int) -> None:
    windows, now = Pacing(), 0.0
    for passed, depth, published in rounds:
        now += passed
        pause = windows.pause(now, {"q": QueueLimits(window, None)}, {"q": depth}, {"q": published})
        assert 0.01 <= pause <= 0.1
