"""Bulk actions: one verb for all jobs that a filter selects, batch by batch. They can be stopped anywhere.

Each batch is one transaction: the changes of the jobs, the entries in the audit log, and the new position. A later
attempt goes on from there, and nothing is done or counted twice.
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
from callboard.db.rules.new_job import SERVICE_QUEUE
from callboard.db.rules.states import LIVE, TERMINAL, Status
from callboard.db.transitions import NewJob, cancel_all, erase_all, reopen_all

JOB_TYPE: Final = "callboard.bulk"
PRIORITY: Final = 9
MAX_RETRIES: Final = 20
TIME_LIMIT: Final = 86_400.0

#: A filter that selects few of many jobs reads for a while, without locks.
_READ_FOR: Final = "600s"
#: More jobs are not counted first: that would take longer than it is worth.
_MOST_COUNTED: Final = 200_000
_CHANGED_MEANWHILE: Final = "changed_meanwhile"
_BULK_ACTION: Final = "bulk_action"


class Action(StrEnum):
    """What is done to each job."""

    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"

    @property
    def applies_to(self) -> frozenset[Status]:
        """The statuses of the jobs that the action applies to."""
        match self:
            case Action.CANCEL:
                return LIVE
            case Action.RETRY:
                return TERMINAL - {Status.SUCCEEDED}
            case Action.DELETE:
                return TERMINAL

    def reason_to_skip(self, row: RowMapping) -> str | None:
        """Return why one of these jobs, a row of :func:`matching_jobs`, is left alone; None if it is not."""
        if self is Action.RETRY and row["type"] == JOB_TYPE:
            # It would act in the name of whoever ordered it. An operator may retry it by itself.
            return _BULK_ACTION
        reasons = {Action.CANCEL: "cancel_requested", Action.RETRY: "payload_erased"}
        return reasons.get(self) if row["skip"] else None


@dataclass(frozen=True, slots=True)
class BulkOrder:
    """The payload of a bulk job: the action, the jobs, the actor in whose name it happens."""

    action: Action
    filter: JobFilter
    actor: Actor


_ORDER: Final = TypeAdapter(BulkOrder)


def bulk_job(order: BulkOrder, *, owner: str) -> NewJob:
    """Return the job that carries the order out, to be submitted."""
    return NewJob(
        id=new_id(),
        type=JOB_TYPE,
        # Not where the jobs are: a bulk action that empties a flooded queue must not wait in that queue.
        queue=SERVICE_QUEUE,
        owner=owner,
        payload=_ORDER.dump_json(order),
        priority=PRIORITY,
        max_retries=MAX_RETRIES,
        time_limit=TIME_LIMIT,
    )


@dataclass(frozen=True, slots=True)
class BulkAction:
    """The bulk action of the bulk job ``job_id``. It changes only jobs that are older than that one."""

    job_id: UUID
    action: Action
    job_filter: JobFilter
    actor: Actor

    @property
    def table(self) -> Table:
        """The table of the jobs that the action applies to."""
        return jobs if self.action is Action.CANCEL else job_history

    @property
    def narrowed(self) -> JobFilter:
        """The filter, limited to the statuses that the action applies to."""
        statuses = self.job_filter.statuses or self.action.applies_to
        return replace(self.job_filter, statuses=statuses & self.action.applies_to)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs matched, how many of them were changed, and how many were skipped, by reason."""

    matched: int
    changed: int
    skipped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a bulk action is: every matching job from the id ``before`` on is done.

    ``total``: jobs that matched when it began; None for too many to count.
    """

    total: int | None
    before: UUID
    counts: Counts


def begin(connection: Connection, bulk: BulkAction) -> Position:
    """Return the position of the action. The first call counts the jobs, which may take minutes."""
    if (position := _read(connection, bulk.job_id)) is None:
        _extend_timeout(connection)
        total = count_matching(connection, bulk.table, bulk.narrowed, before=bulk.job_id, most=_MOST_COUNTED)
        row = {"job_id": bulk.job_id, "total": total, "before_id": bulk.job_id}
        connection.execute(insert(bulk_actions).values(row))
        position = Position(total, bulk.job_id, Counts(0, 0, {}))
    return position


def find_batch(connection: Connection, bulk: BulkAction, position: Position, *, size: int) -> Sequence[RowMapping]:
    """Return the jobs of the next batch, none if all are done. :func:`apply_batch` comes in a later transaction."""
    _extend_timeout(connection)
    return matching_jobs(connection, bulk.table, bulk.narrowed, before=position.before, limit=size)


def apply_batch(
    connection: Connection, bulk: BulkAction, rows: Sequence[RowMapping], position: Position, *, attempt: int
) -> tuple[Position, Sequence[UUID]] | None:
    """Apply the action to the jobs of a batch.

    Returns:
        The new position, and the ids of files whose bytes are to be deleted after the commit. None, with nothing
        changed, when the bulk job's ``attempt`` does not run any more.
    """
    if connection.execute(_lock_attempt(bulk.job_id, attempt)).first() is None:
        return None
    if _read(connection, bulk.job_id) != position:
        raise RuntimeError(f"The bulk job {bulk.job_id} was moved on by somebody else than its attempt {attempt}.")
    reasons = {row["id"]: bulk.action.reason_to_skip(row) for row in rows}
    job_ids = [job_id for job_id, reason in reasons.items() if reason is None]
    changed, outputs = _act(connection, bulk.action, job_ids)
    subject = f"bulk {bulk.job_id}"
    write_audits(connection, bulk.actor, f"job.{bulk.action}", sorted(changed), subject=subject)
    skipped = Counter(position.counts.skipped)
    skipped.update(reason for reason in reasons.values() if reason is not None)
    skipped[_CHANGED_MEANWHILE] += len(job_ids) - len(changed)
    counts = Counts(position.counts.matched + len(rows), position.counts.changed + len(changed), dict(+skipped))
    position = Position(position.total, rows[-1]["id"], counts)
    connection.execute(
        update(bulk_actions)
        .where(bulk_actions.c.job_id == bulk.job_id)
        .values(before_id=position.before, counts=asdict(counts))
    )
    return position, outputs


def _act(connection: Connection, action: Action, job_ids: Sequence[UUID]) -> tuple[set[UUID], Sequence[UUID]]:
    """Change the jobs; return those that were changed, and the files whose rows were deleted with them."""
    match action:
        case Action.CANCEL:
            return cancel_all(connection, job_ids), ()
        case Action.RETRY:
            return reopen_all(connection, job_ids), ()
        case Action.DELETE:
            erased = erase_all(connection, job_ids)
            return erased, delete_outputs(connection, sorted(erased))


def _extend_timeout(connection: Connection) -> None:
    """Raise the statement timeout of this transaction: a filter that selects few of many jobs reads for long."""
    connection.execute(select(func.set_config("statement_timeout", _READ_FOR, literal(value=True))))


def _lock_attempt(job_id: UUID, attempt: int) -> Select[tuple[UUID]]:
    # Until the end of the transaction nobody else can end the attempt, so no later attempt can run beside it.
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
