"""Counts history into ``history_rollup`` and merges coarse rows from finer ones, replacing those of the period."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, TextClause, bindparam, delete, text

from callboard.db.models import TIME, history_rollup

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
#: All of them: in the index they come before the time.
_DIMENSIONS: Final = ("owner", "queue", "status", "total", "type")

_delete = delete(history_rollup).where(
    history_rollup.c.grain == bindparam("grain"),
    history_rollup.c.dimension.in_(_DIMENSIONS),
    history_rollup.c.starts_at >= bindparam("since", type_=TIME),
    history_rollup.c.starts_at < bindparam("until", type_=TIME),
)


def _insert_from(source: str) -> TextClause:
    return text(
        "INSERT INTO callboard.history_rollup (grain, dimension, owner, starts_at, value, jobs, succeeded, failed, "
        "cancelled, expired, attempts, waited, wait_sum, wait_max, wait_histogram, ran, run_sum, run_max, "
        f"run_histogram) {source}"
    ).bindparams(bindparam("since", type_=TIME), bindparam("until", type_=TIME))


# A job that never started has neither a wait nor a run. A job that was cancelled or expired while it waited for another
# attempt has no run: it did not end in an attempt.
_count = _insert_from(
    """
    WITH measured AS (
        SELECT
            date_trunc(CAST(:grain AS text), finished_at, 'UTC') AS starts_at, owner, type, queue, status, attempt,
            CASE WHEN started_at IS NOT NULL
                THEN greatest(started_at - greatest(created_at, scheduled_at), interval '0') END AS wait,
            CASE WHEN attempt_started_at IS NOT NULL
                THEN greatest(finished_at - attempt_started_at, interval '0') END AS run
        FROM callboard.job_history
        WHERE finished_at >= :since AND finished_at < :until
    ), counted AS (
        SELECT
            starts_at, owner, type, queue, status, count(*) AS jobs, sum(attempt) AS attempts,
            count(wait) AS waited, sum(wait) AS wait_sum, max(wait) AS wait_max,
            sum(callboard.histogram_of(wait)) AS wait_histogram,
            count(run) AS ran, sum(run) AS run_sum, max(run) AS run_max,
            sum(callboard.histogram_of(run)) AS run_histogram
        FROM measured
        GROUP BY starts_at, owner, type, queue, status
    ), grouped AS (
        SELECT
            CASE WHEN GROUPING(type) = 0 THEN 'type' WHEN GROUPING(queue) = 0 THEN 'queue'
                WHEN GROUPING(status) = 0 THEN 'status' WHEN GROUPING(owner) = 0 THEN 'owner' ELSE 'total'
            END AS dimension,
            owner, starts_at, coalesce(type, queue, status, owner, '') AS value, sum(jobs) AS jobs,
            coalesce(sum(jobs) FILTER (WHERE status = 'succeeded'), 0) AS succeeded,
            coalesce(sum(jobs) FILTER (WHERE status = 'failed'), 0) AS failed,
            coalesce(sum(jobs) FILTER (WHERE status = 'cancelled'), 0) AS cancelled,
            coalesce(sum(jobs) FILTER (WHERE status = 'expired'), 0) AS expired,
            sum(attempts) AS attempts,
            sum(waited) AS waited, sum(wait_sum) AS wait_sum, max(wait_max) AS wait_max,
            sum(wait_histogram) AS wait_histogram,
            sum(ran) AS ran, sum(run_sum) AS run_sum, max(run_max) AS run_max, sum(run_histogram) AS run_histogram
        FROM counted
        GROUP BY starts_at, GROUPING SETS (
            (), (type), (queue), (status), (owner), (owner, type), (owner, queue), (owner, status)
        )
    )
    SELECT CAST(:grain AS text), grouped.*
    FROM grouped
    WHERE owner IS NULL OR dimension = 'owner' OR CAST(:owners_groups AS boolean)
    """
)

_merge = _insert_from(
    """
    SELECT
        CAST(:grain AS text), dimension, owner, :since, value, sum(jobs), sum(succeeded), sum(failed), sum(cancelled),
        sum(expired), sum(attempts), sum(waited), sum(wait_sum), max(wait_max), sum(wait_histogram),
        sum(ran), sum(run_sum), max(run_max), sum(run_histogram)
    FROM callboard.history_rollup
    WHERE grain = CAST(:finer AS text) AND starts_at >= :since AND starts_at < :until
    GROUP BY dimension, owner, value
    """
)


def count_minutes(connection: Connection, since: datetime, until: datetime, *, owners_groups: bool) -> None:
    """Count the jobs that finished in these whole minutes of one hour.

    Args:
        connection: in a transaction that holds the state of the rollups.
        since: the beginning of a minute.
        until: the beginning of another of the same hour, or of the next hour.
        owners_groups: whether each owner's jobs are also counted by type, queue and status.
    """
    _replace(connection, "minute", since, until, owners_groups=owners_groups)


def count_hour(connection: Connection, hour: datetime) -> None:
    """Count the jobs that finished in this hour."""
    _replace(connection, "hour", hour, hour + _HOUR, owners_groups=True)


def merge_hour(connection: Connection, hour: datetime) -> None:
    """Merge the hour from its minutes, which must have all groups of each owner."""
    _merge_into(connection, "hour", hour, hour + _HOUR, finer="minute")


def merge_day(connection: Connection, day: datetime) -> None:
    """Merge the day from its hours."""
    _merge_into(connection, "day", day, day + _DAY, finer="hour")


def _replace(connection: Connection, grain: str, since: datetime, until: datetime, *, owners_groups: bool) -> None:
    period = {"grain": grain, "since": since, "until": until}
    connection.execute(_delete, period)
    connection.execute(_count, {**period, "owners_groups": owners_groups})


def _merge_into(connection: Connection, grain: str, since: datetime, until: datetime, *, finer: str) -> None:
    period = {"grain": grain, "since": since, "until": until}
    connection.execute(_delete, period)
    connection.execute(_merge, {**period, "finer": finer})
