"""Token buckets that all processes share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from callboard.db.models import rate_limits

_BUCKETS_PER_CALL = 5000
#: Seconds after which any bucket is full again, at all practical rates: its row can be deleted.
_FULL_AFTER = 86_400


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate of a bucket, above 0. The bucket's capacity is the tokens of one second, and one at least."""

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
    """The tokens taken from a bucket."""

    tokens: int
    """0 if there were not enough."""
    retry_after: float
    """Seconds until there are enough tokens, if nobody else takes any; 0 if there were enough."""


def granted(available: float, rate: Rate, *, least: int, most: int) -> Grant:
    """Decide how many of ``available`` tokens a caller gets that needs ``least`` and would take ``most``.

    A caller that needs more than the capacity gets it from a full bucket, whose tokens are then negative: in the long
    run the rate holds all the same.
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
_read = (
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
    """Take ``least`` to ``most`` tokens from a bucket, or none if it has fewer than ``least``.

    A bucket that has never been used is full. The bucket is locked until the end of the transaction, which should be
    soon.
    """
    values = {"name": name, "capacity": float(rate.capacity), "per_second": rate.per_second}
    row = connection.execute(_read, values).first()
    if row is None:
        connection.execute(_make, {"name": name, "capacity": values["capacity"]})
        row = connection.execute(_read, values).one()
    grant = granted(row.available, rate, least=least, most=most)
    if grant.tokens:
        connection.execute(_take, {"bucket": name, "left": row.available - grant.tokens, "at": row.now})
    return grant


# A CTE, as a join may run a subquery for each row, and SKIP LOCKED then finds others beyond the limit.
_idle = (
    select(rate_limits.c.name)
    .where(rate_limits.c.refilled_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, literal(_FULL_AFTER)))
    .limit(_BUCKETS_PER_CALL)
    .with_for_update(skip_locked=True)
    .cte("idle")
)
_delete_idle = delete(rate_limits).where(rate_limits.c.name == _idle.c.name)


def delete_full_buckets(connection: Connection) -> int:
    """Delete up to 5000 buckets that have not been used for a day; return how many."""
    return connection.execute(_delete_idle).rowcount
