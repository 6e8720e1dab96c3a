"""The options of job types that are made from existing functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from callboard.actors.types.http_errors import HTTPClientError
from callboard.actors.types.registry import Isolation
from callboard.actors.types.sizes import bytes_of


class JobOptions(TypedDict, total=False):
    """The options of :func:`job`, with the same defaults."""

    queue: str
    priority: int
    max_retries: int
    min_backoff: float
    max_backoff: float
    time_limit: float
    highest_max_retries: int
    highest_time_limit: float
    retry_when: Callable[[int, BaseException], bool] | None
    throws: Sequence[type[BaseException]]
    isolation: Isolation
    memory_limit: int | str
    operators_only: bool
    description: str
    example: Any


def fields_of(options: JobOptions) -> dict[str, Any]:
    """Return the fields of a :class:`JobType` that the options set."""
    fields: dict[str, Any] = {**options, "throws": (HTTPClientError, *options.get("throws", ()))}
    if "memory_limit" in options:
        fields["memory_limit"] = bytes_of(options["memory_limit"])
    return fields
