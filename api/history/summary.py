"""``/v1/history/summary`` and ``/v1/history/failures``: statistics of finished jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import RowMapping

from callboard.api.auth.caller import AsCaller, Caller
from callboard.api.openapi import history_operations
from callboard.api.services import services_of
from callboard.api.wire.filters import Text
from callboard.api.wire.parameters import refused
from callboard.api.wire.rendering import page, respond
from callboard.api.wire.times import Time, rfc3339
from callboard.db.history.failures import group_failures
from callboard.db.history.rollups import Bucket, Dimension, summarise

router = APIRouter(tags=["history"])

_DEFAULT: Final = timedelta(days=1)
#: Rollups by minute are kept for 26 hours before the present one, those by minute, owner and group for 2.
_MINUTES_REACH: Final = timedelta(days=1, hours=1)
_OWNERS_MINUTES_REACH: Final = timedelta(hours=1)
_MAX_PERIODS: Final = 2000
_MAX_ITEMS: Final = 50_000
#: Cached: where one period ends the next begins, and requests repeat.
_bound: Final = lru_cache(_MAX_PERIODS)(rfc3339)


Period = tuple[datetime, datetime]
"""Start (inclusive) and end (exclusive), in UTC."""


class GroupBy(StrEnum):
    """What jobs are told apart by."""

    TYPE = "type"
    QUEUE = "queue"
    OWNER = "owner"
    STATUS = "status"


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
Owner = Annotated[Text | None, Query(description="Jobs of this owner; for those who see the jobs of others.")]


@router.get("/v1/history/summary", operation_id="summariseHistory", **history_operations.SUMMARY)
async def summary(
    request: Request,
    caller: AsCaller,
    period: AsPeriod,
    *,
    bucket: Annotated[
        Bucket | None,
        Query(
            description="Length of the periods, days being UTC's; minutes reach back a day, with group_by and one "
            "owner an hour. Default: one for all."
        ),
    ] = None,
    group_by: Annotated[GroupBy | None, Query(description="Tell jobs apart by this. Default: all together.")] = None,
    owner: Owner = None,
    groups: Annotated[int, Query(ge=1, le=1000, description="Most groups: those with the most jobs.")] = 20,
) -> Response:
    """Count and measure the jobs that finished in a time, by period and group. It costs the same however many they are.

    `from` and `to` are widened to whole periods (hours, without `bucket`). Percentiles are at most 2.5 % off. Jobs that
    ended in the last seconds may be missing.
    """
    since, until = _widened(period, bucket or Bucket.HOUR)
    scope = _scope(caller, owner)
    by = Dimension.TOTAL if group_by is None else Dimension(group_by)
    if bucket is Bucket.MINUTE:
        _require_recent(since, grouped=scope is not None and by not in {Dimension.TOTAL, Dimension.OWNER})
    if bucket is not None:
        _require_few((until - since) // bucket.length, groups if group_by else 1)
    rows = await services_of(request).threads.run(
        lambda connection: summarise(connection, since, until, bucket=bucket, by=by, owner=scope, groups=groups)
    )
    length = until - since if bucket is None else bucket.length
    items = [_summary(row, length, group_by) for row in rows] if _sees(caller, owner) else []
    return respond({"from": rfc3339(since), "to": rfc3339(until), **page(items)})


@router.get("/v1/history/failures", operation_id="listFailures", **history_operations.FAILURES)
async def failures(
    request: Request,
    caller: AsCaller,
    period: AsPeriod,
    *,
    type: Annotated[Text | None, Query(description="Jobs of this type.")] = None,  # noqa: A002
    queue: Annotated[Text | None, Query(description="Jobs in this queue.")] = None,
    owner: Owner = None,
    groups: Annotated[int, Query(ge=1, le=1000, description="Most groups: the largest.")] = 100,
) -> Response:
    """Group the jobs that failed in a time by type and error, the most frequent first.

    Messages that differ only in words with a digit (numbers, ids) are one, with `#` in their place. The latest 20,000
    failures are counted; `complete` says whether these are all.
    """
    if not _sees(caller, owner):
        return respond({"complete": True, **page([])})
    since, until = period
    grouped = await services_of(request).threads.run(
        lambda connection: group_failures(
            connection, since, until, type_=type, queue=queue, owner=_scope(caller, owner), limit=groups
        )
    )
    return respond({"complete": grouped.complete, **page([_failure(row) for row in grouped.groups])})


def _widened(period: Period, unit: Bucket) -> Period:
    since, until = period
    return unit.floor(since), unit.ceil(until)


def _require_recent(since: datetime, *, grouped: bool) -> None:
    if since < datetime.now(UTC) - _MINUTES_REACH:
        raise refused("from", "is too long ago for minutes, which reach back a day; ask for bucket=hour")
    if grouped and since < datetime.now(UTC) - _OWNERS_MINUTES_REACH - Bucket.MINUTE.length:
        raise refused("from", "is too long ago for groups of one owner by minute: 1 hour; ask for bucket=hour")


def _require_few(periods: int, groups: int) -> None:
    if periods > _MAX_PERIODS:
        raise refused("bucket", f"asks for {periods:,} periods, and {_MAX_PERIODS:,} is the most; ask for longer ones")
    if periods * groups > _MAX_ITEMS:
        raise refused("groups", f"must be at most {_MAX_ITEMS // periods} for {periods:,} periods")


def _sees(caller: Caller, owner: str | None) -> bool:
    return owner is None or caller.sees(owner)


def _scope(caller: Caller, owner: str | None) -> str | None:
    """Return the owner whose jobs alone are counted; None for all owners."""
    return owner if caller.sees_all else caller.owner


def _summary(row: RowMapping, length: timedelta, group_by: GroupBy | None) -> dict[str, Any]:
    # Without a loop over the names: a response may have thousands of these.
    starts_at, succeeded, failed = row["starts_at"], row["succeeded"], row["failed"]
    decided = succeeded + failed
    return {
        "start": _bound(starts_at),
        "end": _bound(starts_at + length),
        "group": None if group_by is None else row["value"],
        "jobs": row["jobs"],
        "succeeded": succeeded,
        "failed": failed,
        "cancelled": row["cancelled"],
        "expired": row["expired"],
        "attempts": row["attempts"],
        "success_rate": round(succeeded / decided, 6) if decided else None,
        "wait": _measured(row["waited"], row["wait_sum"], row["wait_quantiles"], row["wait_max"]),
        "run": _measured(row["ran"], row["run_sum"], row["run_quantiles"], row["run_max"]),
    }


def _measured(jobs: int, total: float, quantiles: Sequence[float], longest: float) -> dict[str, Any] | None:
    if not jobs:
        return None
    p50, p95, p99 = quantiles
    return {
        "jobs": jobs,
        "mean": round(total / jobs, 6),
        "p50": round(min(p50, longest), 6),
        "p95": round(min(p95, longest), 6),
        "p99": round(min(p99, longest), 6),
        "max": round(longest, 6),
    }


def _failure(row: RowMapping) -> dict[str, Any]:
    return {
        "type": row["type"],
        "error": {"reason": row["reason"], "type": row["error_type"], "message": row["message"]},
        "jobs": row["jobs"],
        "first_seen": rfc3339(row["first_seen"]),
        "last_seen": rfc3339(row["last_seen"]),
        "example": row["example"],
    }
