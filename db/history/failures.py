"""Failed jobs, grouped by type and error; messages that differ only in numbers and ids count as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import (
    Connection,
    Integer,
    RowMapping,
    bindparam,
    cast,
    func,
    literal,
    not_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from callboard.db.models import TIME, job_attempts, job_history
from callboard.db.rules.states import Status

#: Most failures that one call counts, the latest ones: enough to show what goes wrong.
MOST_FAILURES: Final = 20_000

#: Messages that agree in so many characters count as one.
_COMPARED: Final = 200
# Words with a digit in them: numbers, ids, names of files and hosts that are counted.
_VARIABLE: Final = r"[\w-]*\d[\w-]*"
_PLACEHOLDER: Final = "#"


@dataclass(frozen=True, slots=True)
class Failures:
    """Groups of failures, the largest first.

    Each has ``type``, ``reason``, ``error_type``, ``message`` (``#`` for words with a digit; None for erased jobs),
    ``jobs``, ``first_seen`` and ``last_seen`` (when the jobs ended), and ``example``, the id of the latest job that was
    not erased, or None.
    """

    groups: Sequence[RowMapping]
    complete: bool
    """False when there are more than :data:`MOST_FAILURES`: the earlier ones are not counted."""


def group_failures(
    connection: Connection,
    since: datetime,
    until: datetime,
    *,
    type_: str | None = None,
    queue: str | None = None,
    owner: str | None = None,
    limit: int,
    most: int = MOST_FAILURES,
) -> Failures:
    """Group the failures of the jobs that ended from ``since`` on and before ``until``.

    The kind of error of an erased job is still known, its message is not.

    Args:
        connection: to read with.
        since: the first time.
        until: the first time that is too late.
        type_: only jobs of this type.
        queue: only jobs of this queue.
        owner: only this owner's jobs.
        limit: most groups that are returned, the largest ones.
        most: as :data:`MOST_FAILURES`.
    """
    columns = job_history.c
    latest = (
        select(columns.id, columns.created_at, columns.finished_at, columns.type, columns.attempt, columns.error)
        .add_columns(columns.deleted)
        .where(
            columns.status == Status.FAILED,
            columns.finished_at >= literal(since, TIME),
            columns.finished_at < literal(until, TIME),
            # No job ends before it was made, so later partitions are left out.
            columns.created_at < literal(until, TIME),
        )
        .order_by(columns.finished_at.desc())
        .limit(bindparam("most", most + 1, type_=Integer))
    )
    for column, value in ((columns.type, type_), (columns.queue, queue), (columns.owner, owner)):
        if value is not None:
            latest = latest.where(column == value)
    failed = latest.cte("failed")
    attempts = (
        select(job_attempts.c.reason, job_attempts.c.error_type)
        .where(
            failed.c.deleted,
            job_attempts.c.job_id == failed.c.id,
            job_attempts.c.created_at == failed.c.created_at,
            job_attempts.c.attempt == failed.c.attempt,
        )
        .limit(1)
        .lateral("attempts")
    )
    message = func.regexp_replace(
        func.left(failed.c.error.op("->>")("message"), _COMPARED), _VARIABLE, _PLACEHOLDER, "g"
    )
    described = select(
        failed.c.id,
        failed.c.finished_at,
        failed.c.type,
        failed.c.deleted,
        func.coalesce(failed.c.error.op("->>")("reason"), attempts.c.reason).label("reason"),
        func.coalesce(failed.c.error.op("->>")("type"), attempts.c.error_type).label("error_type"),
        message.label("message"),
    ).select_from(failed.outerjoin(attempts, true()))
    failure = described.subquery("failure")
    newest_first = aggregate_order_by(failure.c.id, failure.c.finished_at.desc())
    latest_ids = func.array_agg(newest_first).filter(not_(failure.c.deleted))
    jobs = func.count().label("jobs")
    statement = (
        select(
            failure.c.type,
            failure.c.reason,
            failure.c.error_type,
            failure.c.message,
            jobs,
            func.min(failure.c.finished_at).label("first_seen"),
            func.max(failure.c.finished_at).label("last_seen"),
            latest_ids[1].label("example"),
            cast(func.sum(func.count()).over(), Integer).label("counted"),
        )
        .group_by(failure.c.type, failure.c.reason, failure.c.error_type, failure.c.message)
        .order_by(jobs.desc(), func.max(failure.c.finished_at).desc())
        .limit(bindparam("limit", limit, type_=Integer))
    )
    groups = connection.execute(statement).mappings().all()
    return Failures(groups, complete=not groups or groups[0]["counted"] <= most)
