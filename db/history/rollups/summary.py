"""Reading the rollups: cost is that of the periods asked for, whatever happened in them."""

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

    def floor(self, moment: datetime) -> datetime:
        """Return the beginning of the period in which ``moment`` (UTC) lies."""
        moment = moment.replace(second=0, microsecond=0)
        if self is Bucket.MINUTE:
            return moment
        moment = moment.replace(minute=0)
        return moment if self is Bucket.HOUR else moment.replace(hour=0)

    def ceil(self, moment: datetime) -> datetime:
        """Return the first beginning of a period that is not before ``moment`` (UTC)."""
        start = self.floor(moment)
        return start if start == moment else start + self.length

    @property
    def length(self) -> timedelta:
        """How long each is."""
        return timedelta(**{f"{self}s": 1})


class Dimension(StrEnum):
    """What the jobs of a summary are told apart by."""

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
        until: the beginning of another.
        bucket: the periods; None for one that is all.
        by: what the jobs are told apart by.
        owner: only this owner's jobs.
        groups: most values of ``by``, those with the most jobs.

    Returns:
        By ``starts_at`` and ``value``, periods and values without jobs left out: ``jobs``, ``succeeded``, ``failed``,
        ``cancelled``, ``expired``, ``attempts``, ``waited``, ``ran``; in seconds ``wait_sum``, ``wait_max``,
        ``run_sum``, ``run_max``, and ``wait_quantiles`` and ``run_quantiles``, of ``QUANTILES``, each
        None where no job waited or ran. The value of ``TOTAL`` says nothing.
    """
    if bucket is None:
        found = _whole(since, until, by, owner).cte("found")
        quantiles = [_quantiles_of(found.c[name]) for name in _HISTOGRAMS]
    else:
        found = _rows(bucket, since, until, by, owner, _QUANTILES).cte("found")
        quantiles = [found.c[name] for name in _QUANTILES]
    most = (
        select(found.c.value)
        .group_by(found.c.value)
        .order_by(func.sum(found.c.jobs).desc(), found.c.value)
        .limit(bindparam("groups", groups))
    )
    statement = (
        select(
            found.c.starts_at,
            found.c.value,
            *(found.c[name] for name in _COUNTS),
            *(_seconds(found.c[name]).label(name) for name in (*_SUMS, *_MAXIMA)),
            # As the driver reads them: SQLAlchemy would copy each list, number by number.
            *(type_coerce(column, NULLTYPE).label(name) for name, column in zip(_QUANTILES, quantiles, strict=True)),
        )
        .where(found.c.value.in_(most))
        .order_by(found.c.starts_at, found.c.value)
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
    """Merge whole days, and the hours before and after them."""
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
