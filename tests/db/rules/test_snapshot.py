from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.db.rules.event_position import EventPosition
from callboard.db.rules.snapshot import Snapshot

AT = datetime(2026, 1, 31, 9, tzinfo=UTC)
counts = st.integers(0, 10**9 - 1)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    xmin = draw(st.integers(3, 2**60 // 2))
    xmax = xmin + draw(st.integers(0, 50))
    running = draw(st.frozensets(st.integers(xmin, xmax - 1))) if xmax > xmin else frozenset()
    return Snapshot(AT, xmin, xmax, running)


@given(snapshots())
def test_a_snapshot_survives_its_text(snapshot: Snapshot) -> None:
    assert Snapshot.parse(str(snapshot)) == snapshot


@given(snapshots(), st.integers(-60, 60))
def test_a_snapshot_sees_what_was_committed(snapshot: Snapshot, offset: int) -> None:
    transaction = snapshot.xmax + offset
    committed = transaction < snapshot.xmax and transaction not in snapshot.running
    assert snapshot.sees(transaction) == committed


@given(st.text(max_size=50))
def test_other_text_is_no_moment_and_no_position(text: str) -> None:
    for parse in (Snapshot.parse, EventPosition.parse):
        parsed = parse(text)
        assert parsed is None or str(parsed) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1-2:3",
        "-1-2:3:",
        "1-2:3:,",
        "1-2:3:4,",
        "9999999999999999-1:2:",
        "1-2:٣:",
        "1-0:0:",
        "1-3:2:",
        "1-2:3:3",
    ],
)
def test_malformed_moments_are_refused(text: str) -> None:
    assert Snapshot.parse(text) is None


def test_moments_of_another_database_or_long_ago_cannot_be_resumed() -> None:
    now = Snapshot(AT, 5_000_000_000, 5_000_000_010)
    assert now.can_be_resumed_at(now)
    assert not replace(now, xmax=now.xmax + 1).can_be_resumed_at(now)
    assert not Snapshot(AT, now.xmax - 2**30, now.xmax).can_be_resumed_at(now)
    assert not Snapshot(AT, now.xmax, now.xmin).can_be_resumed_at(now)


@given(st.builds(EventPosition, counts, st.integers(0, 5), counts, counts))
def test_a_position_survives_its_text(position: EventPosition) -> None:
    assert EventPosition.parse(str(position)) == position
