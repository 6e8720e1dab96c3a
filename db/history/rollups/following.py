"""Keeps the rollups exact: periods whose jobs may have changed become pending, and are recounted. See decision 0008.

Every call locks the one row of ``history_rollup_state``, so calls run one after the other, whoever makes them. A call
that is interrupted has changed nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import (
    Connection,
    RowMapping,
    bindparam,
    delete,
    func,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or

from callboard.db.history.rollups.recount import count_hour, count_minutes, merge_day, merge_hour
from callboard.db.models import TIME, history_rollup, history_rollup_pending, history_rollup_state, job_history

_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
#: Minutes are kept for so many whole hours before the present one.
MINUTES_KEPT: Final = timedelta(hours=26)
#: Each owner's minutes by type, queue and status are kept for so many. They would be most of all rows, and the hours,
#: which are merged from them, have the same numbers.
OWNERS_MINUTES_KEPT: Final = timedelta(hours=2)
#: ``pg_stat_activity`` shows a transaction at most so long after its ``now()``.
VISIBLE_AFTER: Final = timedelta(seconds=5)
#: Counting an hour with many millions of jobs takes longer than an ordinary statement may.
_STATEMENT_TIMEOUT: Final = text("SET LOCAL statement_timeout = '10min'")

_state, _pending = history_rollup_state, history_rollup_pending

_lock_state = select(_state).with_for_update()
# The beginning of a session's transaction is hidden from other roles without pg_read_all_stats, and where activities
# are not tracked. Sessions that cannot write history, such as analysts', do not matter. Autovacuum has no role.
_activity = text(
    """
    SELECT
        now() AS at,
        ARRAY(SELECT CAST(xid AS text) FROM pg_snapshot_xip(pg_current_snapshot()) AS xid) AS running,
        writers.began, writers.hidden
    FROM (
        SELECT min(xact_start) AS began, coalesce(bool_or(state IS NULL OR state = 'disabled'), false) AS hidden
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND has_table_privilege(usesysid, 'callboard.job_history', 'INSERT')
    ) AS writers
    """
)
_add_pending = text(
    """
    INSERT INTO callboard.history_rollup_pending (starts_at, ends_at)
    SELECT greatest(hour, :since), least(hour + interval '1 hour' - interval '1 microsecond', :until)
    FROM generate_series(date_trunc('hour', CAST(:since AS timestamptz), 'UTC'), :until, interval '1 hour') AS hour
    """
).bindparams(bindparam("since", type_=TIME), bindparam("until", type_=TIME))


def follow(connection: Connection, *, late: float, visible_after: timedelta = VISIBLE_AFTER) -> None:
    """Make pending the times at which jobs may have finished that were not committed at the call before this one.

    Args:
        connection: in a transaction.
        late: seconds; the longest that a transaction which ends a job is open before it writes. How long it takes to
            commit does not matter. The limit counts where PostgreSQL does not show when the transactions of others
            began, and for transactions that have been open for longer.
        visible_after: as :data:`VISIBLE_AFTER`.
    """
    state = _locked_state(connection)
    activity = connection.execute(_activity).one()
    earliest = activity.at - timedelta(seconds=late)
    before: datetime = state["followed_at"] or min(first_hour(connection) or earliest, earliest)
    # After a clock was set back, it may be later than now.
    since = before if before <= activity.at else earliest
    known = {xid: datetime.fromisoformat(began) for xid, began in state["running"].items()}
    running = {xid: known.get(xid, since) for xid in activity.running}
    ended = [began for xid, began in known.items() if xid not in running]
    count_anew(connection, min([since, *ended]), max(before, activity.at))
    # A transaction that ends a job from here on, and is not in running yet, is open by now or begins later.
    oldest = min(activity.began or activity.at, activity.at)
    began = earliest if activity.hidden else max(oldest - visible_after, earliest)
    connection.execute(
        update(_state).values(followed_at=began, running={xid: since.isoformat() for xid, since in running.items()})
    )
    if state["followed_at"] is None or _hour(state["followed_at"]) != _hour(activity.at):
        _delete_old_minutes(connection, _hour(activity.at))


def count_anew(connection: Connection, since: datetime, until: datetime) -> None:
    """Make the time from ``since`` to ``until`` pending, both included: the jobs that finished then are recounted."""
    connection.execute(_add_pending, {"since": since, "until": until})


def recount_next(connection: Connection) -> bool:
    """Recount the latest hour with a pending period; return False when nothing is pending.

    Cheap for the present hour: only its pending minutes are counted. The hour's numbers change in the transaction that
    removes its pending periods; those of the day change with the earliest of its pending hours.
    """
    state = _locked_state(connection)
    connection.execute(_STATEMENT_TIMEOUT)
    latest = select(_pending.c.starts_at).order_by(_pending.c.starts_at.desc()).limit(1)
    time: datetime | None = connection.execute(latest).scalar_one_or_none()
    if time is None:
        return False
    hour = _hour(time)
    # First removed, then counted: the transactions that added these periods have committed, so the count sees them.
    pending = connection.execute(
        delete(_pending)
        .where(_pending.c.starts_at >= hour, _pending.c.starts_at < hour + _HOUR)
        .returning(_pending.c.starts_at, _pending.c.ends_at)
    ).all()
    if state["frozen_before"] is None or hour >= state["frozen_before"]:
        _recount(connection, hour, min(row.starts_at for row in pending), max(row.ends_at for row in pending))
    day = hour.replace(hour=0)
    earlier = select(_pending).where(_pending.c.starts_at >= day, _pending.c.starts_at < hour)
    if not connection.execute(select(earlier.exists())).scalar_one():
        merge_day(connection, day)
    return True


def _recount(connection: Connection, hour: datetime, since: datetime, until: datetime) -> None:
    """Count an hour in which only jobs that finished from ``since`` to ``until`` may have changed."""
    now: datetime = connection.execute(select(func.now())).scalar_one()
    # One hour more: nobody who locks the state after this deletes the minutes that are counted here.
    kept = _hour(now) - hour + _HOUR
    if kept <= MINUTES_KEPT:
        owners_groups = kept <= OWNERS_MINUTES_KEPT
        count_minutes(connection, _minute(since), _minute(until) + _MINUTE, owners_groups=owners_groups)
    if kept <= OWNERS_MINUTES_KEPT:
        merge_hour(connection, hour)
    else:
        count_hour(connection, hour)


def freeze(connection: Connection, before: datetime) -> None:
    """Keep the numbers of all hours that end by ``before`` as they are: some of their history is about to be dropped.

    For retention, in the transaction that drops it. Periods of these hours that are still pending are not recounted any
    more.
    """
    state = _locked_state(connection)
    hour = before.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if state["frozen_before"] is None or state["frozen_before"] < hour:
        connection.execute(update(_state).values(frozen_before=hour))


def first_hour(connection: Connection) -> datetime | None:
    """Return a time before which no job in the history or the rollups finished; None when there are no jobs."""
    oldest = select(job_history.c.created_at).order_by(job_history.c.id).limit(1).subquery()
    counted = (
        select(history_rollup.c.starts_at)
        .where(history_rollup.c.grain == "hour")
        .order_by(history_rollup.c.starts_at)
        .limit(1)
        .subquery()
    )
    both = union_all(select(oldest.c.created_at), select(counted.c.starts_at)).subquery()
    first: datetime | None = connection.execute(select(func.min(both.c.created_at))).scalar_one()
    return first


def _locked_state(connection: Connection) -> RowMapping:
    row = connection.execute(_lock_state).mappings().one_or_none()
    if row is None:
        connection.execute(insert_or(_state).values(single=True).on_conflict_do_nothing())
        row = connection.execute(_lock_state).mappings().one()
    return row


def _delete_old_minutes(connection: Connection, hour: datetime) -> None:
    minutes = delete(history_rollup).where(history_rollup.c.grain == "minute")
    connection.execute(minutes.where(history_rollup.c.starts_at < hour - MINUTES_KEPT))
    connection.execute(
        minutes.where(
            history_rollup.c.starts_at < hour - OWNERS_MINUTES_KEPT,
            history_rollup.c.owner.is_not(None),
            history_rollup.c.dimension != "owner",
        )
    )


def _hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def _minute(time: datetime) -> datetime:
    return time.replace(second=0, microsecond=0)
