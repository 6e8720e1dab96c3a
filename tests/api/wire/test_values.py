from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.api.wire.etags import entity_tag, matches
from callboard.api.wire.paging import page_token, read_page_token
from callboard.api.wire.prefer import Preference
from callboard.db.errors import InvalidInput


@given(st.uuids())
def test_a_page_token_gives_its_job_back(job_id: UUID) -> None:
    token = page_token(job_id)
    assert token.isascii()
    assert read_page_token(token) == job_id
    with pytest.raises(InvalidInput):
        read_page_token(token[:-1])


@given(st.text())
def test_no_text_breaks_the_reader_of_page_tokens(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_page_token(text)


@given(st.text())
def test_no_header_breaks_the_reader_of_preferences(text: str) -> None:
    assert 0 <= Preference.read(text, longest=60).wait <= 60


@pytest.mark.parametrize(
    ("header", "wait", "applied"),
    [
        (None, 0, None),
        ("", 0, None),
        ("respond-async", 0, "respond-async"),
        ("wait=5", 5, "wait=5"),
        ("WAIT=5", 5, "wait=5"),
        ("wait=0", 0, "wait=0"),
        ("wait=600", 60, "wait=60"),
        ("respond-async, wait=5", 5, "wait=5"),
        ("wait=5;foo=bar", 5, "wait=5"),
        ("wait", 0, None),
        ("wait=99999999999", 0, None),
    ],
)
def test_preferences(header: str | None, wait: float, applied: str | None) -> None:
    assert Preference.read(header, longest=60) == Preference(wait, applied)


def test_entity_tags_are_compared_weakly() -> None:
    tag = entity_tag(3, "running")
    assert tag == '"3-running"'
    assert matches(f'W/{tag}, "x"', tag)
    assert matches("*", tag)
    assert not matches('"3-queued"', tag)
    assert not matches("", tag)
