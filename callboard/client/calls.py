"""Requests and answers as values: what the two transports carry, and all that they know of each other."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

T = TypeVar("T")

Parameters = Mapping[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to send as the form field ``file``."""

    name: str
    content: IO[bytes]
    media_type: str


@dataclass(frozen=True, slots=True)
class Call:
    """A request to send."""

    method: str
    path: str
    params: Parameters = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    """The body, JSON."""
    upload: Upload | None = None
    """The body, a form with one file; streamed."""
    sink: IO[bytes] | None = None
    """Where the body of a success goes, as it comes, instead of into :attr:`Answer.content`."""
    wait: float = 0.0
    """Seconds for which the server may hold its answer back."""
    repeatable: bool = True
    """Sending it twice is as good as sending it once."""
    pause: float = 0.0
    """Seconds to wait before it is sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    content: bytes = b""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the body decoded, or None if it is no JSON."""
        try:
            return json.loads(self.content)
        except ValueError:
            return None


Operation = Generator[Call, Answer, T]
"""Yields the requests to send, is given the answers, and returns what the caller wanted to know.

A transport that gets no answer throws :class:`ServerUnreachable` into it.
"""
