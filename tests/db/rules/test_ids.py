from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from callboard.db.rules.ids import created_at_of, new_id

MILLISECONDS = st.integers(0, 253_402_300_799_999)  # to the end of the year 9999


def uuid7_of(milliseconds: int, rest: int) -> UUID:
    return UUID(int=milliseconds << 80 | 7 << 76 | (rest >> 62 & 0xFFF) << 64 | 0b10 << 62 | rest & (1 << 62) - 1)


@given(MILLISECONDS, st.integers(0, 2**74 - 1))
def test_the_instant_in_an_id_is_read_back_to_the_millisecond(milliseconds: int, rest: int) -> None:
    job_id = uuid7_of(milliseconds, rest)

    assert job_id.version == 7
    assert created_at_of(job_id) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


@given(st.uuids())
@example(UUID(int=2**128 - 1))
def test_any_uuid_has_some_instant(job_id: UUID) -> None:
    assert created_at_of(job_id).tzinfo is UTC


@given(MILLISECONDS, MILLISECONDS, st.integers(0, 2**74 - 1), st.integers(0, 2**74 - 1))
def test_ids_are_ordered_by_their_instants(earlier: int, later: int, one: int, other: int) -> None:
    if earlier < later:
        assert uuid7_of(earlier, one) < uuid7_of(later, other)
        assert created_at_of(uuid7_of(earlier, one)) < created_at_of(uuid7_of(later, other))


def test_a_new_id_says_now() -> None:
    before = int(time.time() * 1000)
    at = created_at_of(new_id())
    after = time.time()

    assert before <= at.timestamp() * 1000 <= after * 1000 + 1
    assert at.microsecond % 1000 == 0


def test_new_ids_ascend() -> None:
    ids = [new_id() for _ in range(10_000)]

    assert ids == sorted(set(ids))
    assert {job_id.version for job_id in ids} == {7}


def test_threads_make_different_ids() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: [new_id() for _ in range(1000)], range(8)))

    assert len({job_id for ids in made for job_id in ids}) == 8000
    assert all(ids == sorted(ids) for ids in made)
