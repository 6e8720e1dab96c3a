"""The moments at which a date is most likely to go wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final


@dataclass(frozen=True, slots=True)
class Moment:
    """When a run of the tests begins."""

    name: str
    at: datetime
    zone: str
    """The time zone of the processes. PostgreSQL's sessions are in UTC, as ever."""
    reason: str


MOMENTS: Final = (
    Moment(
        "first-of-month", datetime(2027, 3, 1, 0, 20, tzinfo=UTC), "America/New_York",
        "This month has twenty minutes of history, the one before is the shortest, and locally it still lasts.",
    ),
    Moment(
        "last-of-month", datetime(2027, 1, 31, 23, 10, tzinfo=UTC), "Europe/Berlin",
        "The next month has no such day, and locally it has begun.",
    ),
    Moment(
        "leap-day", datetime(2028, 2, 29, 12, 0, tzinfo=UTC), "UTC",
        "The years before and after have no such day.",
    ),
    Moment(
        "new-year", datetime(2027, 1, 1, 0, 5, tzinfo=UTC), "UTC",
        "Yesterday, the hour before and the month before are of another year, and the week is the old year's 53rd.",
    ),
    Moment(
        "berlin-spring", datetime(2027, 3, 28, 1, 5, tzinfo=UTC), "Europe/Berlin",
        "Locally the hour from two to three did not happen, and today has 23 hours.",
    ),
    Moment(
        "berlin-autumn", datetime(2027, 10, 31, 1, 5, tzinfo=UTC), "Europe/Berlin",
        "Locally the hour from two to three happens again, today has 25 hours, and it is the last of a month.",
    ),
    Moment(
        "new-york-spring", datetime(2027, 3, 14, 7, 5, tzinfo=UTC), "America/New_York",
        "Locally the hour from two to three did not happen, west of UTC.",
    ),
    Moment(
        "new-york-autumn", datetime(2027, 11, 7, 6, 5, tzinfo=UTC), "America/New_York",
        "Locally the hour from one to two happens again, west of UTC.",
    ),
)  # fmt: skip
