from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.db.rules.text import never_a_formula, storable


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


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+A1",
        "-A1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1",
        "-1+1",
        "+1-1",
        "-",
        "-1e",
        "-1\n",
        "=cmd|' /C calc'!A0",
    ],
)
def test_a_cell_is_never_a_formula(text: str) -> None:
    assert never_a_formula(text) == "'" + text


@pytest.mark.parametrize(
    "text", ["", "a", "a=1", "-1", "+1", "-1.5", "-1.5e-3", "-.5", '{"a": 1}', "'=1", " =1", "2026-12-01"]
)
def test_numbers_and_other_texts_stay(text: str) -> None:
    assert never_a_formula(text) == text
