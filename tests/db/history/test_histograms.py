"""Histograms: merged ones are those that were counted at once, and quantiles are as exact as stated."""

from __future__ import annotations

from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from callboard.db.sql.engine import Database

RELATIVE_ERROR = 0.025
SECONDS = st.one_of(st.floats(0, 0.01), st.floats(0.01, 100), st.floats(100, 1e8)).map(lambda value: round(value, 6))
FRACTIONS = [0.0, 0.5, 0.95, 0.99, 1.0]
MERGED = text(
    """
    WITH histograms AS (
        SELECT sum(callboard.histogram_of(seconds * interval '1 second')) AS histogram
        FROM unnest(CAST(:seconds AS float8[])) WITH ORDINALITY AS durations (seconds, number)
        GROUP BY number % :parts
    ), merged AS (SELECT sum(histogram) AS histogram FROM histograms)
    SELECT histogram, callboard.histogram_quantiles(histogram, :fractions) AS quantiles
    FROM merged
    """
)


@settings(max_examples=60)
@given(seconds=st.lists(SECONDS, min_size=1, max_size=60), parts=st.integers(1, 5))
def test_quantiles_are_as_exact_as_stated(database: Database, seconds: list[float], parts: int) -> None:
    with database.begin() as connection:
        row = connection.execute(MERGED, {"seconds": seconds, "parts": parts, "fractions": FRACTIONS}).one()
        direct = connection.execute(MERGED, {"seconds": seconds, "parts": 1, "fractions": FRACTIONS}).one()
    assert row == direct, "merged is what is counted at once"

    ordered = sorted(seconds)
    ranks = [max(1, ceil(fraction * len(seconds))) for fraction in FRACTIONS]
    for rank, estimate in zip(ranks, row.quantiles, strict=True):
        true = ordered[rank - 1]
        allowed = 0.0005 if true <= 0.001 else RELATIVE_ERROR * true
        assert abs(estimate - true) <= allowed * (1 + 1e-9) + 1e-12


def test_many_of_one_duration_do_not_spill_into_the_next_lane(database: Database) -> None:
    crowd = text(
        "SELECT callboard.histogram_quantiles(callboard.histogram_of(interval '1 s') * 999999999997 "
        "+ callboard.histogram_of(interval '2 s'), ARRAY[0.5, 1.0])"
    )
    with database.begin() as connection:
        low, high = connection.execute(crowd).scalar_one()
    assert abs(low - 1) <= 0.025
    assert abs(high - 2) <= 0.05


def test_no_duration_is_no_histogram(database: Database) -> None:
    with database.begin() as connection:
        assert connection.execute(text("SELECT callboard.histogram_of(NULL)")).scalar_one() is None


def test_postgresql_makes_them_within_the_query(database: Database) -> None:
    """Called as a function of its own, each takes three times as long: counting jobs is mostly this."""
    question = "EXPLAIN (VERBOSE) SELECT callboard.histogram_of(finished_at - created_at) FROM callboard.job_history"
    with database.begin() as connection:
        plan = connection.execute(text(question)).scalars().all()
    assert any("ln(" in line for line in plan)
    assert not any("histogram_of" in line for line in plan)
