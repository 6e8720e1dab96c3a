"""A reader of server-sent events that keeps what browsers keep."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Sent:
    """One event; ``comment`` for blocks that are only that."""

    kind: str
    data: Any
    comment: bool = False


class Reader:
    """Reads events one by one. ``last_id`` is what a browser would come back with."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.last_id = ""
        self._blocks = self._read()

    def __iter__(self) -> Iterator[Sent]:
        """Yield events until the stream ends."""
        return (sent for sent in self._blocks if not sent.comment)

    def next(self, count: int = 1) -> list[Sent]:
        """Return the next events."""
        events = iter(self)
        return [next(events) for _ in range(count)]

    def comment(self) -> None:
        """Wait for a comment."""
        assert next(self._blocks).comment

    def settle(self) -> str:
        """Wait until the stream has told from where on it tells; that id."""
        while not self.last_id:
            next(self._blocks)
        return self.last_id

    def _read(self) -> Iterator[Sent]:
        kind, data = "message", list[str]()
        for line in self.answer.iter_lines():
            name, _, value = line.partition(": ")
            match name:
                case "":
                    if data:
                        yield Sent(kind, json.loads("\n".join(data)))
                    else:
                        yield Sent(kind, None, comment=True)
                    kind, data = "message", []
                case "event":
                    kind = value
                case "data":
                    data.append(value)
                case "id":
                    self.last_id = value
                case "retry":
                    assert value.isdigit()
                case _:
                    assert line.startswith(":")


@contextmanager
def reading(client: httpx.Client, path: str, *, last_id: str = "", **headers: str) -> Iterator[Reader]:
    """Open a stream."""
    sent = {"Accept": "text/event-stream", **headers}
    if last_id:
        sent["Last-Event-ID"] = last_id
    with client.stream("GET", path, headers=sent) as answer:
        if answer.status_code == 200:
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-accel-buffering"] == "no"
        else:
            answer.read()
        yield Reader(answer)
