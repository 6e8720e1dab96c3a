"""Bulk actions: one verb for all jobs that a filter chooses, batch by batch, so that they can be stopped anywhere.

Each batch is a transaction: what it does to the jobs, its entries in the audit log, and how far the action has come.
Whoever takes the action over goes on from there, and nothing is done or counted twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Connection, RowMapping, Select, Table, func, insert, literal, select, update

from callboard.db.access.audit import Actor, write_audits
from callboard.db.files.outputs import delete_outputs
from callboard.db.models import bulk_actions, job_history, jobs
from callboard.db.reads.job_filter import JobFilter
from callboard.db.reads.jobs import count_matching, matching_jobs
from callboard.db.rules.ids import new_id
from callboard.db.rules.states import LIVE, TERMINAL, Status
from callboard.db.transitions import NewJob, cancel_all, erase_all, reopen_all

JOB_TYPE: Final = "callboard.bulk"
#: A queue of its own: what is to empty a flooded queue must not wait in it.
QUEUE: Final = "callboard"
PRIORITY: Final = 9
MAX_RETRIES: Final = 20
TIME_LIMIT: Final = 86_400.0

#: A filter that chooses few of many jobs reads for a while, holding no locks.
_READ_FOR: Final = "600s"
#: Beyond that many, counting them first would take longer than it is worth.
_MOST_COUNTED: Final = 200_000
_CHANGED_MEANWHILE: Final = "changed_meanwhile"


class Action(StrEnum):
    """What is done to each job."""

    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"

    @property
    def applies_to(self) -> frozenset[Status]:
        """The statuses of the jobs that it can be done to."""
        match self:
            case Action.CANCEL:
                return LIVE
            case Action.RETRY:
                return TERMINAL - {Status.SUCCEEDED}
            case Action.DELETE:
                return TERMINAL

    @property
    def skip_reason(self) -> str | None:
        """Why some of these jobs need, or allow, no change."""
        return {Action.CANCEL: "cancel_requested", Action.RETRY: "payload_erased"}.get(self)


@dataclass(frozen=True, slots=True)
class BulkOrder:
    """What to do, to which jobs, in whose name: the payload of a bulk job."""

    action: Action
    filter: JobFilter
    actor: Actor


_ORDER: Final = TypeAdapter(BulkOrder)


def bulk_job(order: BulkOrder, *, owner: str) -> NewJob:
    """Return the job that does it, to be submitted."""
    return NewJob(
        id=new_id(),
        type=JOB_TYPE,
        queue=QUEUE,
        owner=owner,
        payload=_ORDER.dump_json(order),
        priority=PRIORITY,
        max_retries=MAX_RETRIES,
        time_limit=TIME_LIMIT,
    )


@dataclass(frozen=True, slots=True)
class BulkAction:
    """What the bulk job ``job_id`` is to do. It touches only jobs that are older than itself."""

    job_id: UUID
    action: Action
    wanted: JobFilter
    actor: Actor

    @property
    def table(self) -> Table:
        """Where the jobs are that it can be done to."""
        return jobs if self.action is Action.CANCEL else job_history

    @property
    def narrowed(self) -> JobFilter:
        """The filter, without the jobs that it cannot be done to."""
        statuses = self.wanted.statuses or self.action.applies_to
        return replace(self.wanted, statuses=statuses & self.action.applies_to)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs were looked at, were changed, and were left as they were, by reason."""

    matched: int
    changed: int
    skipped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a bulk action has come: every matching job from ``before`` on is done with.

    ``total``: jobs that matched when it began; None for too many to count.
    """

    total: int | None
    before: UUID
    counts: Counts


def begin(connection: Connection, bulk: BulkAction) -> Position:
    """Return how far the action has come. The first time it counts what there is to do, which may take minutes."""
    if (position := _read(connection, bulk.job_id)) is None:
        _take_time(connection)
        total = count_matching(connection, bulk.table, bulk.narrowed, before=bulk.job_id, most=_MOST_COUNTED)
        row = {"job_id": bulk.job_id, "total": total, "before_id": bulk.job_id}
        connection.execute(insert(bulk_actions).values(row))
        position = Position(total, bulk.job_id, Counts(0, 0, {}))
    return position


def find_batch(connection: Connection, bulk: BulkAction, position: Position, *, size: int) -> Sequence[RowMapping]:
    """Return the jobs of the next batch, none if all is done. :func:`apply_batch` takes them in a later transaction."""
    _take_time(connection)
    return matching_jobs(connection, bulk.table, bulk.narrowed, before=position.before, limit=size)


def apply_batch(
    connection: Connection, bulk: BulkAction, found: Sequence[RowMapping], position: Position, *, attempt: int
) -> tuple[Position, Sequence[UUID]] | None:
    """Act on the jobs of a batch; return the new position, and the files whose bytes may go after the commit.

    Returns None, and does nothing, when the bulk job's ``attempt`` does not run any more.
    """
    if connection.execute(_hold(bulk.job_id, attempt)).first() is None:
        return None
    if _read(connection, bulk.job_id) != position:
        raise RuntimeError(f"The bulk job {bulk.job_id} was moved on by somebody else than its attempt {attempt}.")
    reason = bulk.action.skip_reason
    wanted = [row["id"] for row in found if reason is None or not row["skip"]]
    changed, outputs = _act(connection, bulk.action, wanted)
    subject = f"bulk {bulk.job_id}"
    write_audits(connection, bulk.actor, f"job.{bulk.action}", sorted(changed), subject=subject)
    skipped = Counter(position.counts.skipped)
    skipped[reason or ""] += len(found) - len(wanted)
    skipped[_CHANGED_MEANWHILE] += len(wanted) - len(changed)
    counts = Counts(position.counts.matched + len(found), position.counts.changed + len(changed), dict(+skipped))
    position = Position(position.total, found[-1]["id"], counts)
    connection.execute(
        update(bulk_actions)
        .where(bulk_actions.c.job_id == bulk.job_id)
        .values(before_id=position.before, counts=asdict(counts))
    )
    return position, outputs


def _act(connection: Connection, action: Action, job_ids: Sequence[UUID]) -> tuple[set[UUID], Sequence[UUID]]:
    """Return the jobs that were changed, and the files whose rows are gone with them."""
    match action:
        case Action.CANCEL:
            return cancel_all(connection, job_ids), ()
        case Action.RETRY:
            return reopen_all(connection, job_ids), ()
        case Action.DELETE:
            erased = erase_all(connection, job_ids)
            return erased, delete_outputs(connection, sorted(erased))


def _take_time(connection: Connection) -> None:
    """Let the statements of this transaction read for as long as a filter that chooses few of many jobs needs."""
    connection.execute(select(func.set_config("statement_timeout", _READ_FOR, literal(value=True))))


def _hold(job_id: UUID, attempt: int) -> Select[tuple[UUID]]:
    # Until the end of the transaction nobody else can end the attempt, so nobody else can have begun the next one.
    return (
        select(jobs.c.id)
        .where(jobs.c.id == job_id, jobs.c.attempt == attempt, jobs.c.status == Status.RUNNING)
        .with_for_update(read=True)
    )


def _read(connection: Connection, job_id: UUID) -> Position | None:
    row = connection.execute(select(*bulk_actions.c).where(bulk_actions.c.job_id == job_id)).mappings().first()
    if row is None:
        return None
    counts = row["counts"] or {"matched": 0, "changed": 0, "skipped": {}}
    return Position(row["total"], row["before_id"], Counts(**counts))
