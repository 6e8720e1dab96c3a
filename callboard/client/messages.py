"""HTTP requests and responses as values. Operations know HTTP by these values only, transports carry them."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from callboard.client.files import Sink, Upload

T = TypeVar("T")

Parameters = Mapping[str, str | list[str]]
"""The query of a URL. A list repeats its name."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send."""

    method: str
    path: str
    params: Parameters = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    """The body, JSON."""
    upload: Upload | None = None
    """The body, a form with one file; streamed."""
    sink: Sink | None = None
    """Receives the body of a success while it arrives; :attr:`Response.content` is then empty."""
    wait: float = 0.0
    """Seconds for which the server may hold its response back."""
    repeatable: bool = True
    """Whether sending the request twice has the effect of sending it once."""
    pause: float = 0.0
    """Seconds to wait before the request is sent."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response that arrived whole."""

    address: str
    """Address of the server, without a password."""
    status: int
    headers: Mapping[str, str]
    """By names in lower case."""
    content: bytes = b""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case; empty if the response names none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json_object(self) -> Mapping[str, Any] | None:
        """Return the body as a JSON object, or None if the body is anything else."""
        try:
            body = json.loads(self.content)
        except (ValueError, RecursionError):
            return None
        return body if isinstance(body, dict) else None


Operation = Generator[Request, Response, T]
"""Yields requests, is sent the responses, and returns the result of the operation.

The transport throws :class:`ServerUnreachable` into the operation when no response arrives.
"""
