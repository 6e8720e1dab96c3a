"""What is known of JSON before it is parsed."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.api.errors import MalformedBody
from callboard.api.wire import json_scan
from callboard.api.wire.json_scan import (
    MOST_VALUES,
    is_batch,
    job_extents,
    require_few_members,
    require_few_values,
)
from callboard.db.errors import InvalidInput, TooLarge

VALUES = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('"\\,[]{}: aü\n')) | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.sampled_from('"\\,{}[]')), inner, max_size=3)
    ),
    max_leaves=20,
)
LAYOUTS = st.sampled_from([{"separators": (",", ":")}, {}, {"indent": 2}, {"ensure_ascii": False}])
LIMIT = 10_000


def extents(body: bytes, *, most: int = 100, largest: int = LIMIT) -> list[bytes]:
    return [body[begin:end] for begin, end in job_extents(body, most=most, largest=largest)]


@given(st.lists(VALUES, max_size=8), LAYOUTS)
def test_the_jobs_of_a_batch_are_found_whatever_is_in_them(jobs: list[Any], layout: dict[str, Any]) -> None:
    body = json.dumps({"jobs": jobs}, **layout).encode()

    assert is_batch(body)
    assert [json.loads(job) for job in extents(body)] == jobs


@given(st.lists(VALUES, max_size=8), LAYOUTS, st.integers(1, 40))
def test_wherever_a_search_pauses_it_goes_on(jobs: list[Any], layout: dict[str, Any], window: int) -> None:
    body = json.dumps({"jobs": jobs}, **layout).encode()
    with pytest.MonkeyPatch.context() as monkeypatch:
        # Two bytes hold any escape: with fewer the search could not go on.
        monkeypatch.setattr(json_scan, "_WINDOW", window + 1)
        assert [json.loads(job) for job in extents(body)] == jobs


@given(st.lists(VALUES, max_size=8), LAYOUTS)
def test_no_value_is_overlooked(jobs: list[Any], layout: dict[str, Any]) -> None:
    def values(value: Any) -> int:
        match value:
            case dict():
                return 1 + sum(map(values, value.values()))
            case list():
                return 1 + sum(map(values, value))
        return 1

    body = json.dumps(jobs, **layout).encode()
    with pytest.MonkeyPatch.context() as monkeypatch:
        # Brackets and commas: at least those of the values, the outermost apart, and at most one more for each.
        monkeypatch.setattr(json_scan, "MOST_VALUES", 2 * values(jobs))
        require_few_values(body)
        monkeypatch.setattr(json_scan, "MOST_VALUES", (values(jobs) - 1) // 2 - 1)
        if values(jobs) > 2:
            with pytest.raises(TooLarge):
                require_few_values(body)


@given(st.binary(max_size=60))
def test_no_bytes_keep_it_busy_for_ever(rest: bytes) -> None:
    with suppress(InvalidInput, TooLarge, MalformedBody):
        extents(b'{"jobs": [' + rest, most=3, largest=20)


@pytest.mark.parametrize("few", [b'["%b"]' % (b'{[,\\"' * MOST_VALUES), b"[1" + b",1" * (MOST_VALUES - 2) + b"]"])
def test_what_is_in_a_string_does_not_count(few: bytes) -> None:
    require_few_values(few)


@pytest.mark.parametrize(
    "many",
    [
        b"[" + b",".join([b"{}"] * MOST_VALUES) + b"]",
        b"{" + b",".join(b'"%d":0' % number for number in range(MOST_VALUES + 1)) + b"}",
        b"[" * (MOST_VALUES + 1),
        b'""' * (3 * MOST_VALUES) + b"," * (MOST_VALUES + 1),
    ],
    ids=["objects", "names", "brackets", "strings"],
)
def test_too_many_values_are_refused(many: bytes) -> None:
    with pytest.raises(TooLarge, match=f"more than {MOST_VALUES} values"):
        require_few_values(many)


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (b'{"jobs": [{}, {}, {}]}', InvalidInput, "more than 2 jobs"),
        (b'{"jobs": [{}, {}, ' + b"{}, " * 1000, InvalidInput, "more than 2 jobs"),
        (b'{"jobs": [{}, "' + b"x" * LIMIT + b'"]}', TooLarge, "Job 1 of the batch has more than 10000 bytes"),
        (b'{"jobs": [{"a": [' + b"1, " * LIMIT, TooLarge, "Job 0 "),
        (b'{"jobs": [{"a": "x', MalformedBody, "job 0 of the batch has no end"),
        (b'{"jobs": [{}, {}', MalformedBody, "job 1 of the batch has no end"),
        (b'{"jobs": [{}}', MalformedBody, "no end"),
        (b'{"jobs": [{}], "more": 1}', InvalidInput, "does not fit"),
        (b'{"jobs": []', InvalidInput, "does not fit"),
    ],
)
def test_bounds_of_batches(body: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        extents(body, most=2)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=8), LAYOUTS)
def test_the_members_of_an_object_are_counted(members: dict[str, Any], layout: dict[str, Any]) -> None:
    body = json.dumps(members, **layout).encode()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(json_scan, "_MOST_MEMBERS", max(1, len(members)))
        require_few_members(body)
        monkeypatch.setattr(json_scan, "_MOST_MEMBERS", len(members) - 1)
        if len(members) > 1:
            with pytest.raises(InvalidInput):
                require_few_members(body)
