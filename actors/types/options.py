"""The options of a job type, for those who make one of a function that was written for something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from callboard.actors.types.http_errors import HTTPClientError
from callboard.actors.types.registry import Isolation
from callboard.actors.types.sizes import bytes_of


class JobOptions(TypedDict, total=False):
    """As :func:`job` takes them. What is left out has the same default as there."""

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
    description: str
    example: Any


def fields_of(options: JobOptions) -> dict[str, Any]:
    """Return the fields of a :class:`JobType` that the options say something about."""
    fields: dict[str, Any] = {**options, "throws": (HTTPClientError, *options.get("throws", ()))}
    if "memory_limit" in options:
        fields["memory_limit"] = bytes_of(options["memory_limit"])
    return fields
