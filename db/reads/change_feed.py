"""The jobs, live and finished, that changed since a snapshot, found by the transactions that wrote their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Integer,
    RowMapping,
    Select,
    Table,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.types import UserDefinedType

from callboard.db.models import TIME, job_history, jobs
from callboard.db.models.job_view import view_of
from callboard.db.rules.snapshot import Snapshot


class _Xid(UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid"


class _Xid8(UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


class _Snapshot(UserDefinedType[Any]):
    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "pg_snapshot"


_NOW: Final = func.pg_current_snapshot()
_SINCE_TEXT: Final = bindparam("since", type_=Text)
_SINCE: Final = cast(_SINCE_TEXT, _Snapshot)
_WRITTEN: Final = {
    jobs: literal_column("jobs.xmin", _Xid()),
    job_history: literal_column("job_history.xmin", _Xid()),
}
_BITS: Final = 2**32 - 1


def _transaction(table: Table) -> ColumnElement[int]:
    """Return the SQL of the full id of the transaction that wrote a row, whose low 32 bits are in the row (xmin)."""
    following = cast(cast(func.pg_snapshot_xmax(_NOW), Text), BigInteger)
    low = cast(cast(_WRITTEN[table], Text), BigInteger)
    return following - (following - low).bitwise_and(_BITS)


def _changed(table: Table) -> ColumnElement[bool]:
    oldest = select(func.age(cast(func.pg_snapshot_xmin(_SINCE), _Xid))).scalar_subquery()
    seen = func.pg_visible_in_snapshot(cast(cast(_transaction(table), Text), _Xid8), _SINCE)
    # The first condition is evaluated once: if no transaction has ended since, no row is read. The second is cheap, and
    # decides for all but a few rows.
    return and_(cast(_NOW, Text) != _SINCE_TEXT, func.age(_WRITTEN[table]) <= oldest, not_(seen))


_after = bindparam("after", type_=Uuid)
_owner = bindparam("owner", type_=Text)


def _ids(table: Table, *conditions: ColumnElement[bool]) -> Select[Any]:
    narrowing = (
        or_(cast(_after, Uuid).is_(None), table.c.id > _after),
        or_(cast(_owner, Text).is_(None), table.c.owner == _owner),
    )
    return select(table.c.id, table.c.created_at).where(*conditions, _changed(table), *narrowing)


_late = func.make_interval(0, 0, 0, 0, 0, 0, bindparam("late", type_=Double))
# Materialized: the planner would use the LIMIT as a reason to read the primary keys of all history in order.
_live = _ids(jobs).cte("live").prefix_with("MATERIALIZED", dialect="postgresql")
_finished = (
    _ids(
        job_history,
        job_history.c.finished_at >= bindparam("since_at", type_=TIME) - _late,
        job_history.c.deleted.is_(False),
    )
    .cte("finished")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)
_either = union_all(select(_live), select(_finished)).subquery()
_page = (
    select(_either)
    .order_by(_either.c.id)
    .limit(bindparam("limit", type_=Integer))
    .cte("page")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)
_rows = union_all(
    view_of(jobs, result=False)
    .add_columns(_transaction(jobs).label("transaction"))
    .select_from(_page.join(jobs, jobs.c.id == _page.c.id)),
    view_of(job_history, result=False)
    .add_columns(_transaction(job_history).label("transaction"))
    .select_from(
        _page.join(
            job_history,
            and_(
                job_history.c.id == _page.c.id,
                job_history.c.created_at == _page.c.created_at,
            ),
        )
    ),
).subquery("changed")
_here = select(cast(_NOW, Text).label("snapshot"), func.now().label("at"))
_one = _here.subquery("here")
_read = (
    select(_one.c.snapshot, _one.c.at, *_rows.c)
    .select_from(_one.join(_rows, true(), isouter=True))
    .order_by(_rows.c.id)
)


@dataclass(frozen=True, slots=True)
class Changes:
    """Jobs that changed, in the order of their ids."""

    moment: Snapshot
    """The snapshot of the read: later commits are not among the rows."""
    rows: Sequence[RowMapping]
    """Views (``JobView``) without results, and the ``transaction`` that wrote the present state."""
    more: bool
    """There are more than ``limit``; they come after the last of these."""


def current_moment(connection: Connection) -> Snapshot:
    """Return the current snapshot, to read the changes after it."""
    row = connection.execute(_here).one()
    return Snapshot.of(row.at, row.snapshot)


def read_changes(
    connection: Connection,
    since: Snapshot,
    *,
    limit: int,
    late: float,
    after: UUID | None = None,
    owner: str | None = None,
) -> Changes:
    """Return the jobs whose rows were written by transactions that ``since`` does not see, as they are now.

    A row may have been written without a visible change (its message was confirmed). Jobs that have been erased since
    are not among them. Reads all of ``jobs``, and the part of ``job_history`` that has finished since.

    Args:
        connection: in a transaction with isolation level READ COMMITTED, or one that begins with this.
        since: the snapshot of the last read.
        limit: most jobs that are returned.
        late: seconds; the longest that a transaction which ends a job takes to commit.
        after: only jobs with ids above this one.
        owner: only this owner's jobs.
    """
    parameters = {
        "since": since.snapshot, "since_at": since.at, "late": late, "after": after, "owner": owner, "limit": limit + 1,
    }  # fmt: skip
    rows = connection.execute(_read, parameters).mappings().all()
    changed = [row for row in rows if row["id"] is not None]
    moment = Snapshot.of(rows[0]["at"], rows[0]["snapshot"])
    return Changes(moment=moment, rows=changed[:limit], more=len(changed) > limit)
