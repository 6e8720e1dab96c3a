"""From waiting to running: promote, mark_dispatched, undispatch, claim."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Double, Integer, Text, Uuid, all_, bindparam, cast, func, null, or_, select, update

from callboard.db.models import jobs, queues, workers
from callboard.db.models.job_view import due_since
from callboard.db.rules.attempts import AttemptId, ClaimedJob
from callboard.db.rules.states import Status
from callboard.db.sql.pipeline import NOT_DURABLE, PreparedStatement, RowDict, StatementCall, execute_together
from callboard.db.sql.rowset import among, each, rowset, rowset_of

_NOW = func.now()


# Selected by an array: a join may run the subquery for each row, and SKIP LOCKED then finds others beyond the limit.
_due = (
    select(jobs.c.id)
    .where(jobs.c.due_at <= _NOW)
    .order_by(jobs.c.due_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("due")
)
_promote = (
    update(jobs)
    .where(among(jobs.c.id, _due))
    .values(status=Status.QUEUED, due_at=None, queued_at=jobs.c.due_at, revision=jobs.c.revision + 1)
    .returning(jobs.c.id)
)


def promote(connection: Connection, *, limit: int = 1000) -> int:
    """Queue the jobs whose ``due_at`` has come; return how many.

    From scheduled, retrying or blocked, by the dispatcher. Rows that another dispatcher is promoting are skipped.
    """
    return len(connection.execute(_promote, {"limit": limit}).all())


_claims = rowset(id=Uuid(), attempt=Integer())
_awaits = (
    jobs.c.id == _claims.c.id,
    jobs.c.attempt == _claims.c.attempt - 1,
    jobs.c.status == Status.QUEUED,
)
_confirmed, _in_broker = each(
    _claims, select(jobs.c.id).where(*_awaits, jobs.c.dispatched_at.is_(None)).with_for_update()
)
_mark_dispatched = PreparedStatement(
    update(jobs)
    .where(among(jobs.c.id, select(_in_broker.c.id).select_from(_confirmed).cte("in_broker")))
    .values(dispatched_at=_NOW)
)


def mark_dispatched(
    connection: Connection, attempts: Sequence[AttemptId], *, durable: bool = False, commit: bool = False
) -> None:
    """Record that these attempts' messages are in the broker, or may be from now on.

    From queued; stays queued. A job that was claimed, cancelled or expired since its message was published is left
    alone. Unless ``durable``, the transaction's commit does not wait for the disk: if a crash of PostgreSQL undoes a
    mark, only a message is repeated, and waiting with the marked rows locked would hold up the claims of these very
    messages.

    Args:
        connection: in a transaction.
        attempts: those whose messages were confirmed, or are sent next.
        durable: the commit waits for the disk. For marks that a limit counts, made before the messages are sent.
        commit: also commit the transaction, in the same round trip. The claims of these messages wait for the locked
            rows until then.
    """
    marking = (_mark_dispatched, _parameters(attempts))
    execute_together(connection, *([] if durable else [NOT_DURABLE]), marking, commit=commit)


_undispatch = (
    update(jobs)
    .where(
        jobs.c.queue == bindparam("of_queue"),
        jobs.c.dispatched_at < _NOW - func.make_interval(0, 0, 0, 0, 0, 0, bindparam("older_than", type_=Double)),
        jobs.c.status == Status.QUEUED,
    )
    .values(dispatched_at=None)
    .returning(jobs.c.id)
)


def undispatch(connection: Connection, queue: str, *, older_than: float) -> int:
    """Return jobs of a queue to the dispatcher that were not claimed within ``older_than`` seconds; return how many.

    From queued; stays queued. For a queue that is empty in the broker (the messages are lost) or was paused (workers
    dropped them). A message that exists after all is harmless: only one of two claims of one attempt succeeds.
    """
    return len(connection.execute(_undispatch, {"of_queue": queue, "older_than": older_than}).all())


# Locked in the order of their ids, so that two processes with the same messages cannot deadlock.
_claimed, _job = each(
    _claims,
    select(jobs.c.id)
    .where(
        *_awaits,
        or_(jobs.c.expires_at.is_(None), jobs.c.expires_at > _NOW, jobs.c.started_at.is_not(None)),
        # An array, and not NOT IN: the planner would run such a subquery for each job.
        jobs.c.queue != all_(func.array(select(queues.c.name).where(queues.c.paused).scalar_subquery())),
        # The limit counts marks. A job without one is sent again, and this message of it would not be counted.
        or_(
            jobs.c.dispatched_at.is_not(None),
            jobs.c.queue
            != all_(func.array(select(queues.c.name).where(queues.c.concurrency_limit.is_not(None)).scalar_subquery())),
        ),
        select(workers.c.id)
        .where(
            workers.c.id == bindparam("claimed_by", type_=Uuid),
            or_(workers.c.state == "running", workers.c.state == "draining"),
        )
        .exists(),
    )
    .with_for_update(of=jobs),
)
_claimable = select(_job.c.id).select_from(_claimed).cte("claimable")
_claim = PreparedStatement(
    update(jobs)
    .where(among(jobs.c.id, _claimable))
    .values(
        status=Status.RUNNING,
        attempt=jobs.c.attempt + 1,
        worker_id=bindparam("claimed_by", type_=Uuid),
        worker=bindparam("worker_name"),
        started_at=func.coalesce(jobs.c.started_at, _NOW),
        attempt_started_at=_NOW,
        # Set by the dispatcher, unless this claim overtook it.
        dispatched_at=func.coalesce(jobs.c.dispatched_at, _NOW),
        progress=null(),
        revision=jobs.c.revision + 1,
    )
    .returning(
        jobs.c.id,
        jobs.c.attempt,
        jobs.c.created_at,
        jobs.c.type,
        jobs.c.queue,
        jobs.c.owner,
        cast(jobs.c.payload, Text).label("payload"),
        jobs.c.priority,
        jobs.c.retries,
        jobs.c.max_retries,
        jobs.c.time_limit,
        jobs.c.attempt_started_at.label("started_at"),
        due_since.label("due_since"),
    )
)


def claim(
    connection: Connection, attempts: Sequence[AttemptId], *, worker_id: UUID, worker: str
) -> dict[AttemptId, ClaimedJob]:
    """Start these attempts on this worker, if their jobs still wait for them; return what was started.

    From queued, by the worker that holds the message; to running. The message of an attempt that is missing from the
    result is to be dropped: its job is in another state or past ``expires_at``, or without a mark in a queue whose
    concurrency limit counts these (it is sent again); its queue is paused, or this worker was declared lost.
    """
    [rows] = execute_together(connection, claiming(attempts, worker_id=worker_id, worker=worker))
    return claimed(rows)


def claiming(attempts: Sequence[AttemptId], *, worker_id: UUID, worker: str) -> StatementCall:
    """Return :func:`claim` as a call to send together with others; :func:`claimed` reads its rows."""
    return _claim, {**_parameters(attempts), "claimed_by": worker_id, "worker_name": worker}


def claimed(rows: Sequence[RowDict]) -> dict[AttemptId, ClaimedJob]:
    """Return the jobs that :func:`claiming` has started, by attempt."""
    started = [ClaimedJob(**row) for row in rows]
    return {job.attempt_id: job for job in started}


def _parameters(attempts: Sequence[AttemptId]) -> dict[str, str]:
    return rowset_of({"id": job_id, "attempt": number} for job_id, number in sorted(set(attempts)))
