from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callboard.db.rules.retry import GIVE_UP, RetryPolicy, backoff_ceiling, decide_retry

SECONDS = st.integers(0, 604_800_000).map(lambda milliseconds: milliseconds / 1000)
UNIFORM = st.floats(0, 1, exclude_max=True)


@st.composite
def policies(draw: st.DrawFn) -> RetryPolicy:
    shortest, longest = sorted((draw(SECONDS), draw(SECONDS)))
    return RetryPolicy(draw(st.integers(0, 100)), shortest, longest)


@given(policies(), st.integers(0, 10_000), UNIFORM)
def test_a_retry_waits_within_the_bounds_of_its_policy(policy: RetryPolicy, retries: int, uniform: float) -> None:
    decision = decide_retry(policy, retries, random=lambda: uniform)

    assert decision.retry == (retries < policy.max_retries)
    if decision.delay is not None:
        assert policy.min_backoff <= decision.delay <= policy.max_backoff
        assert decision.delay <= backoff_ceiling(policy, retries)


@given(policies(), st.integers(0, 10_000))
def test_the_ceiling_doubles_until_it_meets_the_maximum(policy: RetryPolicy, retries: int) -> None:
    now, next_time = backoff_ceiling(policy, retries), backoff_ceiling(policy, retries + 1)

    assert now <= next_time <= policy.max_backoff
    assert next_time in (policy.max_backoff, 2 * now)


@given(policies(), st.integers(0, 100), st.floats(-1e9, 1e9))
def test_what_the_handler_asked_for_is_taken_as_it_is(policy: RetryPolicy, retries: int, asked: float) -> None:
    decision = decide_retry(policy, retries, random=lambda: 0.5, asked=asked)

    assert decision.delay == (max(0.0, asked) if retries < policy.max_retries else None)


def test_waits_spread_over_the_whole_interval() -> None:
    policy = RetryPolicy(max_retries=5, min_backoff=10, max_backoff=1000)

    delays = [decide_retry(policy, 3, random=lambda at=at: at / 10).delay for at in range(10)]  # type: ignore[misc]

    assert delays == [10 + 7 * at for at in range(10)]


def test_no_retries_means_none() -> None:
    assert decide_retry(RetryPolicy(0, 1, 2), 0, random=lambda: 0.0, asked=0) is GIVE_UP
