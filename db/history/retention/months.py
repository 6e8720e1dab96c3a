"""Drops the partitions of whole months that no rule keeps any longer, which takes milliseconds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, func, literal_column, select, text

from callboard.db.access.audit import Actor, write_audit
from callboard.db.history.retention.rules import ANY, FOR_EVER, Rules, read_rules
from callboard.db.history.retention.types import types_in
from callboard.db.history.rollups import freeze
from callboard.db.models import PARTITIONED, SCHEMA, files, job_files, jobs, retention_rules
from callboard.db.rules.ids import first_id
from callboard.db.rules.states import TERMINAL, Status

_RETENTION = Actor("system:retention")

# While the drop waits for the tables, all later users of them queue behind; nobody should notice that.
_LOCK_TIMEOUT = "100ms"

_FILES_PER_CALL = 1000


@dataclass(frozen=True, slots=True)
class _Month:
    """A month of history that has a partition: from ``start`` up to, without, ``end``."""

    start: datetime

    @property
    def end(self) -> datetime:
        return (self.start + timedelta(days=31)).replace(day=1)

    @property
    def ids(self) -> tuple[UUID, UUID]:
        """The least id of the month and that of the next."""
        return first_id(self.start), first_id(self.end)

    @property
    def partitions(self) -> list[str]:
        return [f"{SCHEMA}.{table.name}_{self.start:%Y_%m}" for table in PARTITIONED]


def drop_month(connection: Connection, *, dropped: Callable[[str], None] = lambda _subject: None) -> bool:
    """Drop the oldest month that every rule lets go: history, attempts, progress, and the rows of its jobs' files.

    The bytes of those files are left to ``callboard remove-orphaned-files``. Rollups stay. A month in which a job was
    submitted that is still live is kept. The drop is recorded in the audit log. All of it happens in the caller's
    transaction.

    Args:
        connection: in a transaction.
        dropped: called with the month and its size, as in the audit log, if the transaction drops one.

    Returns:
        True when there may be more to do at once; False when no month may go.

    Raises:
        sqlalchemy.exc.OperationalError: a long transaction, such as a report, uses a table. The caller should try again
            later.
    """
    if not read_rules(connection):
        return False
    # From here on a change of the rules waits, so the decision below still holds when the month is dropped.
    connection.execute(text(f"LOCK TABLE {retention_rules.fullname} IN SHARE MODE"))
    rules = read_rules(connection)
    for month in _months(connection):
        check = _check(connection, month, rules)
        if check is not None:
            return _delete_file_rows(connection, month) or _drop(connection, month, check, dropped)
    return False


def _months(connection: Connection) -> Iterator[_Month]:
    """Yield the months before this one that have a partition, oldest first."""
    names = connection.execute(
        text(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
            "WHERE inhparent = 'callboard.job_history'::regclass ORDER BY relname"
        )
    ).scalars()
    now = datetime.now(UTC)
    for name in names.all():
        if match := re.fullmatch(r"job_history_(\d{4})_(\d\d)", name):
            month = _Month(datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC))
            if month.end <= now:
                yield month


@dataclass(frozen=True, slots=True)
class _Check:
    """The check of a month that may go."""

    at: datetime
    """When it was made, by the database's clock."""
    last: datetime
    """No job of the month finished later."""


def _check(connection: Connection, month: _Month, rules: Rules) -> _Check | None:
    """Return the check of the month if every rule lets all its jobs go, else None."""
    history = month.partitions[0]
    longest = timedelta(0)
    # The general rules decide on a month without jobs.
    for job_type in types_in(connection, history) or [ANY]:
        for outcome in TERMINAL:
            keep = rules.keep(job_type, outcome)
            if keep is FOR_EVER and job_type != ANY and not _has(connection, history, job_type, outcome):
                continue
            longest = max(longest, keep)
    now: datetime = connection.execute(select(func.now())).scalar_one()
    if longest is FOR_EVER or now - longest < month.end or _finished_after(connection, history, now - longest):
        return None
    if _has_live_jobs(connection, month):
        return None
    return _Check(now, now - longest if _finished_after(connection, history, month.end) else month.end)


def _has(connection: Connection, history: str, job_type: str, outcome: Status) -> bool:
    # The partition's name is made above, of a date.
    statement = f"SELECT EXISTS (SELECT FROM {history} WHERE type = :type AND status = :outcome)"  # noqa: S608
    exists: bool = connection.execute(text(statement), {"type": job_type, "outcome": outcome}).scalar_one()
    return exists


def _finished_after(connection: Connection, history: str, time: datetime) -> bool:
    statement = f"SELECT EXISTS (SELECT FROM {history} WHERE finished_at > :time)"  # noqa: S608
    exists: bool = connection.execute(text(statement), {"time": time}).scalar_one()
    return exists


def _has_live_jobs(connection: Connection, month: _Month) -> bool:
    """Return whether a job of the month is still live: its attempts and its progress are still needed."""
    first, next_ = month.ids
    live = select(jobs.c.id).where(jobs.c.id >= first, jobs.c.id < next_).limit(1)
    return connection.execute(live).first() is not None


def _delete_file_rows(connection: Connection, month: _Month) -> bool:
    """Delete the rows of up to 1000 output files of the month's jobs; return False when there are none."""
    first, next_ = month.ids
    outputs = select(job_files.c.file_id).where(job_files.c.job_id >= first, job_files.c.job_id < next_)
    return connection.execute(delete(files).where(files.c.id.in_(outputs.limit(_FILES_PER_CALL)))).rowcount > 0


def _drop(connection: Connection, month: _Month, check: _Check, dropped: Callable[[str], None]) -> bool:
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    size = _size(connection, month)
    with connection.begin_nested() as attempt:
        # Before the tables are locked: a recount locks the state of the rollups, and then reads the tables.
        freeze(connection, check.last + timedelta(hours=1))
        # In the order in which the end of an attempt locks them.
        for table in PARTITIONED:
            connection.execute(text(f"LOCK TABLE ONLY {table.fullname} IN ACCESS EXCLUSIVE MODE"))
        for name in month.partitions:
            connection.execute(text(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"))
        # From here on nobody writes to them. Has anything changed since the check?
        if _has_live_jobs(connection, month) or _finished_after(connection, month.partitions[0], check.at):
            attempt.rollback()
            return True
        connection.execute(text(f"DROP TABLE {', '.join(month.partitions)}"))
    subject = f"{month.start:%Y-%m}: {size}"
    write_audit(connection, _RETENTION, "history.drop", subject=subject)
    dropped(subject)
    return True


def _size(connection: Connection, month: _Month) -> str:
    row: Row[Any, Any] = connection.execute(
        select(
            func.sum(literal_column("pg_total_relation_size(name)")).label("bytes"),
            func.max(literal_column("reltuples")).label("rows"),
        ).select_from(text("unnest(CAST(:names AS regclass[])) AS name JOIN pg_class ON pg_class.oid = name")),
        {"names": month.partitions},
    ).one()
    # An estimate: reltuples is what the last ANALYZE found, and -1 before the first.
    rows = f"about {int(row.rows):,} rows in the largest table, " if row.rows >= 0 else ""
    return f"{rows}{int(row.bytes) // 2**20:,} MiB"
