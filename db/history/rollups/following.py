"""Keeping the rollups exact: what may have changed is noted, and what is noted is counted anew. See decision 0008.

Every call holds the one row of ``history_rollup_state``, so they come one after the other, whoever makes them, and a
call that is cut off anywhere has done nothing.
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
#: Minutes are kept for so many whole hours before the present one,
MINUTES_KEPT: Final = timedelta(hours=26)
#: and each owner's by type, queue and status for so many. They would be most of all rows, and the hours, which are
#: merged from them, have the same.
OWNERS_MINUTES_KEPT: Final = timedelta(hours=2)
#: A session shows others what it began at most so long after the ``now()`` of the transaction.
_UNSEEN: Final = timedelta(seconds=5)
#: An hour with many millions of jobs takes longer than an ordinary statement may.
_STATEMENT_TIMEOUT: Final = text("SET LOCAL statement_timeout = '10min'")

_state, _pending = history_rollup_state, history_rollup_pending

_hold = select(_state).with_for_update()
# A session's begin is hidden from other roles without pg_read_all_stats, and where activities are not tracked. Of those
# who cannot write history, such as analysts, it does not matter. Autovacuum has no role.
_here = text(
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
_note = text(
    """
    INSERT INTO callboard.history_rollup_pending (starts_at, ends_at)
    SELECT greatest(hour, :since), least(hour + interval '1 hour' - interval '1 microsecond', :until)
    FROM generate_series(date_trunc('hour', CAST(:since AS timestamptz), 'UTC'), :until, interval '1 hour') AS hour
    """
).bindparams(bindparam("since", type_=TIME), bindparam("until", type_=TIME))


def follow(connection: Connection, *, late: float) -> None:
    """Note the times at which jobs may have finished that were not committed when this was called before.

    ``late`` is the longest, in seconds, that a transaction which ends a job takes to begin to write; how long it takes
    to commit does not matter. It counts where PostgreSQL does not say when the transactions of others began, and for
    those that have been open for longer.
    """
    state = _held(connection)
    here = connection.execute(_here).one()
    earliest = here.at - timedelta(seconds=late)
    before: datetime = state["followed_at"] or min(first_hour(connection) or earliest, earliest)
    # A clock that was set back is behind what was followed.
    since = before if before <= here.at else earliest
    known = {xid: datetime.fromisoformat(began) for xid, began in state["running"].items()}
    running = {xid: known.get(xid, since) for xid in here.running}
    ended = [began for xid, began in known.items() if xid not in running]
    count_anew(connection, min([since, *ended]), max(before, here.at))
    # Who ends a job from here on and is not running yet has an open transaction, or begins one later.
    began = earliest if here.hidden else max(min(here.began or here.at, here.at) - _UNSEEN, earliest)
    connection.execute(
        update(_state).values(followed_at=began, running={xid: since.isoformat() for xid, since in running.items()})
    )
    if state["followed_at"] is None or _hour(state["followed_at"]) != _hour(here.at):
        _forget_minutes(connection, _hour(here.at))


def count_anew(connection: Connection, since: datetime, until: datetime) -> None:
    """Note that jobs which finished from ``since`` to ``until`` are to be counted anew."""
    connection.execute(_note, {"since": since, "until": until})


def recount_next(connection: Connection) -> bool:
    """Count the latest hour of which something is noted; False when nothing was.

    Cheap for the present hour: only the minutes that are noted are counted. Numbers and note change together; those of
    the day do so with the earliest of its hours that are noted.
    """
    state = _held(connection)
    connection.execute(_STATEMENT_TIMEOUT)
    latest = select(_pending.c.starts_at).order_by(_pending.c.starts_at.desc()).limit(1)
    found: datetime | None = connection.execute(latest).scalar_one_or_none()
    if found is None:
        return False
    hour = _hour(found)
    # First taken, then counted: whoever noted something that is taken here has committed, and is seen below.
    noted = connection.execute(
        delete(_pending)
        .where(_pending.c.starts_at >= hour, _pending.c.starts_at < hour + _HOUR)
        .returning(_pending.c.starts_at, _pending.c.ends_at)
    ).all()
    if state["frozen_before"] is None or hour >= state["frozen_before"]:
        _recount(connection, hour, min(row.starts_at for row in noted), max(row.ends_at for row in noted))
    day = hour.replace(hour=0)
    earlier = select(_pending).where(_pending.c.starts_at >= day, _pending.c.starts_at < hour)
    if not connection.execute(select(earlier.exists())).scalar_one():
        merge_day(connection, day)
    return True


def _recount(connection: Connection, hour: datetime, since: datetime, until: datetime) -> None:
    """Count the hour, whose jobs that finished from ``since`` to ``until`` may have changed."""
    now: datetime = connection.execute(select(func.now())).scalar_one()
    # Later than what is forgotten by anybody who holds the state after this.
    kept = _hour(now) - hour + _HOUR
    if kept <= MINUTES_KEPT:
        owners_groups = kept <= OWNERS_MINUTES_KEPT
        count_minutes(connection, _minute(since), _minute(until) + _MINUTE, owners_groups=owners_groups)
    if kept <= OWNERS_MINUTES_KEPT:
        merge_hour(connection, hour)
    else:
        count_hour(connection, hour)


def freeze(connection: Connection, before: datetime) -> None:
    """Leave the numbers of all hours that end by ``before`` as they are, as some of their history is about to go.

    For retention, in the transaction that drops it: the rollups remember what the history does not. What is noted of
    these hours and was not counted by then is not counted any more.
    """
    state = _held(connection)
    hour = before.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if state["frozen_before"] is None or state["frozen_before"] < hour:
        connection.execute(update(_state).values(frozen_before=hour))


def first_hour(connection: Connection) -> datetime | None:
    """Return a time before which no job that is in the history or the rollups finished; None when there is none."""
    oldest = select(job_history.c.created_at).order_by(job_history.c.id).limit(1).subquery()
    counted = (
        select(history_rollup.c.starts_at)
        .where(history_rollup.c.grain == "hour")
        .order_by(history_rollup.c.starts_at)
        .limit(1)
        .subquery()
    )
    both = union_all(select(oldest.c.created_at), select(counted.c.starts_at)).subquery()
    found: datetime | None = connection.execute(select(func.min(both.c.created_at))).scalar_one()
    return found


def _held(connection: Connection) -> RowMapping:
    row = connection.execute(_hold).mappings().one_or_none()
    if row is None:
        connection.execute(insert_or(_state).values(single=True).on_conflict_do_nothing())
        row = connection.execute(_hold).mappings().one()
    return row


def _forget_minutes(connection: Connection, hour: datetime) -> None:
    minutes = delete(history_rollup).where(history_rollup.c.grain == "minute")
    connection.execute(minutes.where(history_rollup.c.starts_at < hour - MINUTES_KEPT))
    connection.execute(
        minutes.where(
            history_rollup.c.starts_at < hour - OWNERS_MINUTES_KEPT,
            history_rollup.c.owner.is_not(None),
            history_rollup.c.dimension != "owner",
        )
    )


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
