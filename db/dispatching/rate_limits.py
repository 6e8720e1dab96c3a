"""Token buckets that all api processes share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from callboard.db.models import rate_limits

_AT_ONCE = 5000
#: Seconds after which any bucket is full again, for all practical rates, and its row says nothing more.
_FULL_AFTER = 86_400


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_second`` tokens flow into a bucket, above 0; it holds those of a second, and one at least."""

    per_second: float

    @property
    def capacity(self) -> int:
        return max(1, math.ceil(self.per_second))

    @property
    def window(self) -> int:
        """Seconds, rounded up, in which an empty bucket fills."""
        return math.ceil(self.capacity / self.per_second)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a bucket gave."""

    tokens: int
    """0 if there were not enough."""
    retry_after: float
    """Seconds until there will be enough, if nobody else takes any; 0 if there were."""


def granted(available: float, rate: Rate, *, least: int, most: int) -> Grant:
    """Decide what a bucket with ``available`` tokens gives to somebody who needs ``least`` and would take ``most``.

    Who needs more than a bucket holds gets it from a full one, which is then in debt: the rate holds all the same.
    """
    needed = min(least, rate.capacity)
    if available < needed:
        return Grant(0, (needed - available) / rate.per_second)
    return Grant(max(least, min(most, math.floor(available))), 0.0)


_make = (
    insert(rate_limits)
    .values(name=bindparam("name"), tokens=bindparam("capacity"), refilled_at=func.clock_timestamp())
    .on_conflict_do_nothing()
)
_now = func.clock_timestamp()
_elapsed = func.greatest(0, func.extract("epoch", _now - rate_limits.c.refilled_at))
_look = (
    select(
        func.least(
            bindparam("capacity"),
            rate_limits.c.tokens + _elapsed * bindparam("per_second", type_=rate_limits.c.tokens.type),
        ).label("available"),
        _now.label("now"),
    )
    .where(rate_limits.c.name == bindparam("name"))
    .with_for_update()
)
_take = (
    update(rate_limits)
    .where(rate_limits.c.name == bindparam("bucket"))
    .values(tokens=bindparam("left"), refilled_at=bindparam("at"))
)


def take_tokens(connection: Connection, name: str, rate: Rate, *, least: int, most: int) -> Grant:
    """Take from ``least`` to ``most`` tokens out of a bucket, or none if it has fewer than ``least``.

    A bucket that nobody has used is full. What is taken counts for all processes once the transaction has ended, which
    should be soon: it locks the bucket.
    """
    values = {"name": name, "capacity": float(rate.capacity), "per_second": rate.per_second}
    row = connection.execute(_look, values).first()
    if row is None:
        connection.execute(_make, {"name": name, "capacity": values["capacity"]})
        row = connection.execute(_look, values).one()
    grant = granted(row.available, rate, least=least, most=most)
    if grant.tokens:
        connection.execute(_take, {"bucket": name, "left": row.available - grant.tokens, "at": row.now})
    return grant


_idle = (
    select(rate_limits.c.name)
    .where(rate_limits.c.refilled_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, literal(_FULL_AFTER)))
    .limit(_AT_ONCE)
    .with_for_update(skip_locked=True)
    .subquery()
)
_forget = delete(rate_limits).where(rate_limits.c.name == _idle.c.name)


def delete_full_buckets(connection: Connection) -> int:
    """Delete buckets that nobody used for a day, some thousands at most; return how many."""
    return connection.execute(_forget).rowcount
