"""The query parameters ``from`` and ``to``: when jobs finished."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Depends, Query

from callboard.api.wire.parameters import refused
from callboard.api.wire.times import Time
from callboard.db.history.rollups import Bucket

_DEFAULT: Final = timedelta(days=1)

Period = tuple[datetime, datetime]
"""Start (inclusive) and end (exclusive), in UTC."""


async def _period(
    *,
    since: Annotated[
        Time | None, Query(alias="from", description="Jobs that finished at this time or later. Default: a day before.")
    ] = None,
    until: Annotated[Time | None, Query(alias="to", description="And before this time. Default: now.")] = None,
) -> Period:
    until = datetime.now(UTC) if until is None else until
    since = until - _DEFAULT if since is None else since
    if since >= until:
        raise refused("from", "must be before to")
    return since, until


AsPeriod = Annotated[Period, Depends(_period)]
"""The type of an endpoint's parameter that takes the period."""


def widened(period: Period, unit: Bucket) -> Period:
    """Return the period from the beginning of a unit to the end of one."""
    since, until = period
    return unit.floor(since), unit.ceil(until)
