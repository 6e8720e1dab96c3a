"""The options of job types that are made from existing functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from callboard.actors.types.bounds import Isolation
from callboard.actors.types.http_errors import HTTPClientError
from callboard.actors.types.registry import OPTIONS, refuse_options
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
    throws: type[BaseException] | Sequence[type[BaseException]]
    isolation: Isolation
    memory_limit: int | str
    operators_only: bool
    description: str
    example: Any


def fields_of(options: JobOptions, where: str) -> dict[str, Any]:
    """Return the fields of a :class:`JobType` that the options set.

    Args:
        options: of a job type.
        where: it is defined, for the error.

    Raises:
        ConfigurationError: there is no such option, or the memory limit is not a size.
    """
    refuse_options([name for name in options if name not in OPTIONS], OPTIONS, where)
    throws = options.get("throws", ())
    fields: dict[str, Any] = {
        **options,
        "throws": (HTTPClientError, *((throws,) if isinstance(throws, type) else throws)),
    }
    if "memory_limit" in options:
        fields["memory_limit"] = bytes_of(options["memory_limit"], where)
    return fields
