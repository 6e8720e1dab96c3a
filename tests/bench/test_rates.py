"""A rate counts what was recorded after its beginning, and nothing else."""

from __future__ import annotations

import pytest

from bench.drains import rate


def test_first_tenth_is_left_out() -> None:
    slow_start = [0.0, *(5.0 + number / 10 for number in range(99))]
    assert rate(slow_start, released=0.0) == pytest.approx(10.0)


def test_commit_that_began_the_time_is_no_work_of_it() -> None:
    # Four commits of 25 jobs, a second apart: 75 jobs in three seconds.
    assert rate([float(number // 25) for number in range(100)], released=-5.0) == pytest.approx(25.0)


def test_one_commit_took_since_the_release() -> None:
    assert rate([12.0] * 10, released=10.0) == pytest.approx(5.0)
