"""Times of requests and responses: RFC 3339; responses in UTC with milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Strict

_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE)
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A year before the end of datetime's range: no time zone of a reader exceeds it.
_LAST: Final = datetime(9999, 1, 1, tzinfo=UTC)


def rfc3339(time: datetime | None) -> str | None:
    """Return the time as ``2026-01-31T09:00:00.000Z``; None for None."""
    if time is None:
        return None
    return time.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _require_text(value: object) -> object:
    # Pydantic would also accept Unix timestamps, as numbers and as digits.
    if not isinstance(value, str) or _RFC_3339.fullmatch(value) is None:
        raise ValueError("write the time as in 2030-01-31T09:00:00Z, or with an offset such as +01:00")
    return value


def _in_range(value: datetime) -> datetime:
    if not _FIRST <= value < _LAST:
        raise ValueError("the time must lie between the years 1970 and 9998")
    return value.astimezone(UTC)


# Not strict: after a validator in Python, strict models refuse text for a time. The validator lets only text through.
Time = Annotated[AwareDatetime, Strict(strict=False), BeforeValidator(_require_text), AfterValidator(_in_range)]
"""A time in a request; in UTC once validated."""
