from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from callboard.db.rules.json_pointer import pointer
from callboard.db.rules.json_values import doubled_names, is_suspicious, unstorable, with_floats

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


@given(values)
def test_what_is_storable_survives_and_what_is_not_is_suspicious(value: Any) -> None:
    body = json.dumps(value).encode()
    decoded = from_json(body)
    refused = list(unstorable(decoded))
    if refused:
        assert is_suspicious(body)
    else:
        assert orjson.loads(orjson.dumps(decoded)) == decoded
        assert b"\\u0000" not in orjson.dumps(decoded)


def test_each_finding_has_its_pointer() -> None:
    value = {"a/b": [1, "\0"], "~": math.inf, "n\0": {"x": 2**64}, "half": "\ud800"}
    assert [item.pointer for item in unstorable(value)] == ["", "/a~1b/1", "/~0", "/n\0/x", "/half"]


def test_names_that_come_twice_are_found() -> None:
    text = b'{"a": [{"x": 1, "y": 2}, {"x": 1, "y": {"z": 1}, "x": 3}], "b": 1' + b"0" * 5000 + b"}"
    assert [(item.pointer, "'x'" in item.detail) for item in doubled_names(text)] == [("/a/1", True)]
    assert list(doubled_names(b'{"a": {"a": [1, {"a": null}]}}')) == []


@pytest.mark.parametrize("value", [1e20, -1e300, 1.5, 2**64 - 1, -(2**63), "1" * 30, 0, 10**18, [1e19, {"a": 1e22}]])
def test_numbers_come_out_of_jsonb_as_they_went_in(value: Any) -> None:
    """PostgreSQL writes all of them in full, without an exponent."""
    in_full = json.dumps(value if not isinstance(value, float) else int(value) if abs(value) >= 1e19 else value)

    given = orjson.loads(with_floats(in_full))

    assert (given, type(given)) == (value, type(value))


def test_pointers_are_escaped() -> None:
    assert pointer(()) == ""
    assert pointer(("a/b", 0, "~")) == "/a~1b/0/~0"
