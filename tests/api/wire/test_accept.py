from __future__ import annotations

import pytest

from callboard.api.wire.accept import accepts


@pytest.mark.parametrize(
    "header",
    [
        "text/event-stream",
        "Text/Event-Stream ; charset=utf-8",
        "application/json;q=0.5, text/event-stream;q=0.001",
        "text/event-stream;q=1.000",
        "text/event-stream; q=0.10",
    ],
)
def test_a_stream_is_accepted(header: str) -> None:
    assert accepts(header, "text/event-stream")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "*/*",
        "text/*",
        "application/json",
        "text/event-streams",
        "application/json; profile=text/event-stream",
        "text/event-stream;q=0",
        "text/event-stream ; charset=utf-8 ; Q=0.000",
        "application/json, text/event-stream; q=0.",
    ],
)
def test_a_stream_is_not_accepted(header: str) -> None:
    assert not accepts(header, "text/event-stream")
