"""Reads the rollups. The cost depends on the number of periods asked for, not on the number of jobs in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    RowMapping,
    Select,
    bindparam,
    cast,
    func,
    literal,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.types import NULLTYPE

from callboard.db.models import QUANTILES, TIME, history_rollup


class Bucket(StrEnum):
    """Length of the periods of a summary; days are UTC's."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"

    def floor(self, time: datetime) -> datetime:
        """Return the beginning of the period that contains ``time`` (UTC)."""
        time = time.replace(second=0, microsecond=0)
        if self is Bucket.MINUTE:
            return time
        time = time.replace(minute=0)
        return time if self is Bucket.HOUR else time.replace(hour=0)

    def ceil(self, time: datetime) -> datetime:
        """Return the first beginning of a period that is not before ``time`` (UTC)."""
        start = self.floor(time)
        return start if start == time else start + self.length

    @property
    def length(self) -> timedelta:
        """The length of one period."""
        return timedelta(**{f"{self}s": 1})


class Dimension(StrEnum):
    """What the jobs of a summary are grouped by."""

    TOTAL = "total"
    TYPE = "type"
    QUEUE = "queue"
    OWNER = "owner"
    STATUS = "status"


_COUNTS: Final = ("jobs", "succeeded", "failed", "cancelled", "expired", "attempts", "waited", "ran")
_SUMS: Final = ("wait_sum", "run_sum")
_MAXIMA: Final = ("wait_max", "run_max")
_QUANTILES: Final = ("wait_quantiles", "run_quantiles")
_HISTOGRAMS: Final = ("wait_histogram", "run_histogram")


def summarise(
    connection: Connection,
    since: datetime,
    until: datetime,
    *,
    bucket: Bucket | None,
    by: Dimension,
    owner: str | None,
    groups: int,
) -> Sequence[RowMapping]:
    """Return the numbers of the jobs that finished from ``since`` on and before ``until``, period by period.

    Args:
        connection: to read with.
        since: the beginning of a period (of an hour, if ``bucket`` is None), in UTC.
        until: the beginning of a later one.
        bucket: the length of the periods; None for one period from ``since`` to ``until``.
        by: what the jobs are grouped by.
        owner: only this owner's jobs; None: everybody's.
        groups: return at most so many values of ``by``, those with the most jobs.

    Returns:
        By ``starts_at`` and ``value``, periods and values without jobs left out: ``jobs``, ``succeeded``, ``failed``,
        ``cancelled``, ``expired``, ``attempts``, ``waited``, ``ran``; in seconds ``wait_sum``, ``wait_max``,
        ``run_sum``, ``run_max``, and ``wait_quantiles`` and ``run_quantiles``, of ``QUANTILES``, each
        None where no job waited or ran. The value of ``TOTAL`` is empty.
    """
    if bucket is None:
        periods = _whole(since, until, by, owner).cte("periods")
        quantiles = [_quantiles_of(periods.c[name]) for name in _HISTOGRAMS]
    else:
        periods = _rows(bucket, since, until, by, owner, _QUANTILES).cte("periods")
        quantiles = [periods.c[name] for name in _QUANTILES]
    largest = (
        select(periods.c.value)
        .group_by(periods.c.value)
        .order_by(func.sum(periods.c.jobs).desc(), periods.c.value)
        .limit(bindparam("groups", groups))
    )
    statement = (
        select(
            periods.c.starts_at,
            periods.c.value,
            *(periods.c[name] for name in _COUNTS),
            *(_seconds(periods.c[name]).label(name) for name in (*_SUMS, *_MAXIMA)),
            # NULLTYPE keeps the driver's lists: SQLAlchemy would copy each, number by number.
            *(type_coerce(column, NULLTYPE).label(name) for name, column in zip(_QUANTILES, quantiles, strict=True)),
        )
        .where(periods.c.value.in_(largest))
        .order_by(periods.c.starts_at, periods.c.value)
    )
    return connection.execute(statement).mappings().all()


def _rows(
    bucket: Bucket, since: datetime, until: datetime, by: Dimension, owner: str | None, measured: Sequence[str]
) -> Select[Any]:
    columns = history_rollup.c
    names = (*_COUNTS, *_SUMS, *_MAXIMA, *measured)
    rows = select(columns.starts_at, columns.value, *(columns[name] for name in names)).where(
        columns.grain == bucket,
        columns.starts_at >= literal(since, TIME),
        columns.starts_at < literal(until, TIME),
    )
    if owner is not None:
        own = Dimension.OWNER if by is Dimension.TOTAL else by
        return rows.where(columns.dimension == own, columns.owner == owner)
    rows = rows.where(columns.dimension == by)
    return rows if by is Dimension.OWNER else rows.where(columns.owner.is_(None))


def _whole(since: datetime, until: datetime, by: Dimension, owner: str | None) -> Select[Any]:
    """Return the SELECT that merges whole days, and the hours before and after them."""
    first, last = Bucket.DAY.ceil(since), Bucket.DAY.floor(until)
    if first < last:
        spans = [(Bucket.HOUR, since, first), (Bucket.DAY, first, last), (Bucket.HOUR, last, until)]
    else:
        spans = [(Bucket.HOUR, since, until)]
    parts = union_all(*(_rows(*span, by, owner, _HISTOGRAMS) for span in spans)).subquery("parts")
    return select(
        literal(since, TIME).label("starts_at"),
        parts.c.value,
        *(cast(func.sum(parts.c[name]), BigInteger).label(name) for name in _COUNTS),
        *(func.sum(parts.c[name]).label(name) for name in (*_SUMS, *_HISTOGRAMS)),
        *(func.max(parts.c[name]).label(name) for name in _MAXIMA),
    ).group_by(parts.c.value)


def _seconds(interval: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(func.extract("epoch", interval), Double)


def _quantiles_of(histogram: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.callboard.histogram_quantiles(histogram, literal(list(QUANTILES), ARRAY(Double)), type_=ARRAY(Double))
