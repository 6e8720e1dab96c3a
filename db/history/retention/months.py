"""Whole months that every rule lets go: their partitions are dropped, in milliseconds."""

from __future__ import annotations

import re
from collections.abc import Iterator
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

# While the drop waits for the tables, all who come after it wait too; nobody is to notice.
_LOCK_TIMEOUT = "100ms"

_FILES_AT_ONCE = 1000


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


def drop_month(connection: Connection) -> bool:
    """Drop the oldest month that every rule lets go: history, attempts, progress, and the rows of its jobs' files.

    The bytes of those files are left to ``callboard remove-orphaned-files``. Rollups stay. A month in which a job that
    still lives was made is kept. What was dropped is in the audit log. All of it is one transaction: the caller's.

    Returns:
        True when there may be more to do at once; False when no month may go.

    Raises:
        sqlalchemy.exc.OperationalError: a table is in long use, for example by a report. Trying again later is right.
    """
    if not read_rules(connection):
        return False
    # From here on, whoever changes a rule waits: what is decided below holds when the month goes.
    connection.execute(text(f"LOCK TABLE {retention_rules.fullname} IN SHARE MODE"))
    rules = read_rules(connection)
    for month in _months(connection):
        checked = _may_go(connection, month, rules)
        if checked is not None:
            return _forget_files(connection, month) or _drop(connection, month, checked)
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
        if found := re.fullmatch(r"job_history_(\d{4})_(\d\d)", name):
            month = _Month(datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC))
            if month.end <= now:
                yield month


@dataclass(frozen=True, slots=True)
class _Checked:
    """What was found of a month that may go."""

    at: datetime
    """When, by the database's clock."""
    last: datetime
    """No job of it finished later."""


def _may_go(connection: Connection, month: _Month, rules: Rules) -> _Checked | None:
    """Return what was found if every rule lets all jobs of the month go, else None."""
    history = month.partitions[0]
    longest = timedelta(0)
    # A month without jobs goes by the general rules.
    for job_type in types_in(connection, history) or [ANY]:
        for outcome in TERMINAL:
            keep = rules.keep(job_type, outcome)
            if keep is FOR_EVER and job_type != ANY and not _has(connection, history, job_type, outcome):
                continue
            longest = max(longest, keep)
    now: datetime = connection.execute(select(func.now())).scalar_one()
    if longest is FOR_EVER or now - longest < month.end or _finished_after(connection, history, now - longest):
        return None
    if _lives_in(connection, month):
        return None
    return _Checked(now, now - longest if _finished_after(connection, history, month.end) else month.end)


def _has(connection: Connection, history: str, job_type: str, outcome: Status) -> bool:
    # The partition's name is made above, of a date.
    statement = f"SELECT EXISTS (SELECT FROM {history} WHERE type = :type AND status = :outcome)"  # noqa: S608
    found: bool = connection.execute(text(statement), {"type": job_type, "outcome": outcome}).scalar_one()
    return found


def _finished_after(connection: Connection, history: str, moment: datetime) -> bool:
    statement = f"SELECT EXISTS (SELECT FROM {history} WHERE finished_at > :moment)"  # noqa: S608
    found: bool = connection.execute(text(statement), {"moment": moment}).scalar_one()
    return found


def _lives_in(connection: Connection, month: _Month) -> bool:
    """Whether a job of the month is not finished: its attempts and its progress are still needed."""
    first, next_ = month.ids
    living = select(jobs.c.id).where(jobs.c.id >= first, jobs.c.id < next_).limit(1)
    return connection.execute(living).first() is not None


def _forget_files(connection: Connection, month: _Month) -> bool:
    """Delete rows of files that jobs of the month put out, some at a time; False when none are left."""
    first, next_ = month.ids
    some = select(job_files.c.file_id).where(job_files.c.job_id >= first, job_files.c.job_id < next_)
    return connection.execute(delete(files).where(files.c.id.in_(some.limit(_FILES_AT_ONCE)))).rowcount > 0


def _drop(connection: Connection, month: _Month, checked: _Checked) -> bool:
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    size = _size(connection, month)
    with connection.begin_nested() as attempt:
        # Before the tables: who counts rollups holds the one and reads the others.
        freeze(connection, checked.last + timedelta(hours=1))
        # In the order in which the end of an attempt takes them.
        for table in PARTITIONED:
            connection.execute(text(f"LOCK TABLE ONLY {table.fullname} IN ACCESS EXCLUSIVE MODE"))
        for name in month.partitions:
            connection.execute(text(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"))
        # Nobody writes any more: what happened since it was looked at?
        if _lives_in(connection, month) or _finished_after(connection, month.partitions[0], checked.at):
            attempt.rollback()
            return True
        connection.execute(text(f"DROP TABLE {', '.join(month.partitions)}"))
    write_audit(connection, _RETENTION, "history.drop", subject=f"{month.start:%Y-%m}: {size}")
    return True


def _size(connection: Connection, month: _Month) -> str:
    row: Row[Any, Any] = connection.execute(
        select(
            func.sum(literal_column("pg_total_relation_size(name)")).label("bytes"),
            func.max(literal_column("reltuples")).label("rows"),
        ).select_from(text("unnest(CAST(:names AS regclass[])) AS name JOIN pg_class ON pg_class.oid = name")),
        {"names": month.partitions},
    ).one()
    # PostgreSQL does not count; it remembers what the last analysis found, and -1 before the first.
    rows = f"about {int(row.rows):,} rows in the largest table, " if row.rows >= 0 else ""
    return f"{rows}{int(row.bytes) // 2**20:,} MiB"
