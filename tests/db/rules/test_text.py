from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from callboard.db.rules.text import storable


@given(st.text(st.characters()))
def test_what_is_stored_is_utf_8_without_nul(text: str) -> None:
    stored = storable(text)

    assert "\0" not in stored
    assert len(stored) == len(text)
    stored.encode()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert storable(text) == text


def test_an_undecodable_file_name_loses_only_what_cannot_be_stored() -> None:
    assert storable("caf\udce9.csv\0") == "caf\ufffd.csv\ufffd"
