from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.db.rules.key_text import KeyText

KEY = KeyText("live", "0123456789ab", "A" * 32)


def test_the_form_is_fixed() -> None:
    # A fixed example: keys that have been made stay valid.
    assert KEY.reveal() == "cb_live_0123456789ab_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA4dqqsq"
    assert KeyText.parse(KEY.reveal()) == KEY
    assert KEY.secret_sha256 == hashlib.sha256(b"A" * 32).digest()


def test_keys_are_generated_anew() -> None:
    keys = {KeyText.generate("test").reveal() for _ in range(100)}

    assert len(keys) == 100
    assert all(re.fullmatch(r"cb_test_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}", key) for key in keys)
    assert all(KeyText.parse(key) is not None for key in keys)


def test_the_secret_is_not_shown_by_accident() -> None:
    assert KEY.secret not in repr(KEY)
    assert KEY.secret not in str(KEY)
    assert KEY.secret not in f"{KEY}"


@given(st.integers(0, 58), st.characters(categories=["L", "N"], max_codepoint=0x7F))
def test_a_mistyped_character_is_noticed(position: int, character: str) -> None:
    text = KEY.reveal()
    mistyped = text[:position] + character + text[position + 1 :]

    assert (KeyText.parse(mistyped) is None) == (mistyped != text)


@given(st.text())
def test_other_text_is_no_key(text: str) -> None:
    assert KeyText.parse(text) is None


@pytest.mark.parametrize(
    "text",
    ["", KEY.reveal()[:-1], KEY.reveal() + "0", KEY.reveal() + "\n", " " + KEY.reveal(), KEY.reveal().lower()],
)
def test_a_part_of_a_key_is_no_key(text: str) -> None:
    assert KeyText.parse(text) is None
