"""Jobs: those that live, those that have finished, their attempts and progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from callboard.db.models.base import TIME, metadata
from callboard.db.rules.new_job import OPTIONS, Kind
from callboard.db.rules.states import LIVE, TERMINAL


def _one_of(column: str, values: frozenset[str]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in sorted(values))})"


#: How each kind of option is stored.
SQL_TYPES: Final[Mapping[Kind, TypeEngine[Any]]] = {
    Kind.TEXT: Text(),
    Kind.INTEGER: Integer(),
    Kind.SECONDS: Double(),
    Kind.TIME: TIME,
    Kind.JOB_ID: Uuid(),
    Kind.TAGS: JSONB(),
}


#: When a result expires, in UTC without a zone: only so may an index hold it.
RESULT_EXPIRY: Final = "(finished_at AT TIME ZONE 'UTC'::text) + result_ttl * '00:00:01'::interval"


def _option(name: str) -> Column[object]:
    option = OPTIONS[name]
    tags = option.kind is Kind.TAGS
    return Column(
        name,
        SmallInteger() if name == "priority" else SQL_TYPES[option.kind],
        nullable=not (option.required or tags),
        server_default=text("'{}'::jsonb") if tags else None,
        comment=option.comment,
    )


def _described(statuses: str) -> list[Column[object]]:
    """Columns that a job has while it lives and keeps in its history."""
    return [
        Column("type", Text, nullable=False, comment="Job type."),
        Column("status", Text, nullable=False, comment=statuses),
        Column("owner", Text, nullable=False, comment="Whose job it is: the client that submitted it."),
        Column("payload", JSONB, nullable=True, comment="What the handler is given; NULL once erased."),
        *(_option(name) for name, option in OPTIONS.items() if option.comment is not None),
        Column(
            "attempt",
            Integer,
            nullable=False,
            server_default=text("0"),
            comment="Number of the last attempt, which is how many there were; 0 before the first.",
        ),
        Column(
            "retries", Integer, nullable=False, server_default=text("0"), comment="How many of its retries are spent."
        ),
        Column(
            "revision",
            Integer,
            nullable=False,
            server_default=text("0"),
            comment="Grows with everything that a client may see of the job.",
        ),
        Column("started_at", TIME, comment="When its first attempt started; NULL if none did."),
        Column(
            "attempt_started_at",
            TIME,
            comment="When its last attempt started; NULL while it waits, and where it ended waiting.",
        ),
        Column("cancel_requested_at", TIME, comment="When somebody asked a running job to stop."),
        Column("worker_id", Uuid, comment="The start of a worker process (workers.id) that ran the last attempt."),
        Column("worker", Text, comment="Name of that worker process."),
        Column("progress", JSONB, comment="The last progress report; NULL once erased."),
        Column(
            "error",
            JSONB,
            comment="What ended the last attempt that failed: reason, type, message, attempt; NULL once erased.",
        ),
        Column(
            "waiting_for",
            JSONB,
            comment="What it waited for last, other than its time or its turn: kind, and which attempt; NULL: nothing.",
        ),
        Column("batch_id", Uuid, comment="The batch it was submitted in, if it was."),
        Column("fairness_key", Text, comment="Reserved."),
        Column("concurrency_key", Text, comment="Reserved."),
        Column("webhook_url", Text, comment="Reserved."),
        Column("traceparent", Text, comment="W3C trace context of the submission."),
    ]


#: Live jobs. A claim must stay a heap-only-tuple update: no index below names a column that it changes
#: (status, attempt, worker, the times of the attempt, revision), not even in its WHERE.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True, comment="UUIDv7; ascends with created_at."),
    Column("created_at", TIME, nullable=False, comment="When it was submitted, as its id says."),
    *_described("blocked, scheduled, queued, running or retrying."),
    Column(
        "due_at",
        TIME,
        comment="When a scheduled, retrying or blocked job becomes queued; 'infinity': something else decides.",
    ),
    Column("queued_at", TIME, comment="When it was due: since when it is queued, or was before it ran."),
    Column("dispatched_at", TIME, comment="When the broker last confirmed its message. NULL with due_at: to be sent."),
    CheckConstraint(_one_of("status", LIVE), name="status"),
    CheckConstraint("priority BETWEEN 0 AND 9", name="priority"),
    CheckConstraint("attempt >= 0 AND retries >= 0 AND retries <= attempt AND max_retries >= 0", name="attempt"),
    CheckConstraint("time_limit > 0", name="time_limit"),
    CheckConstraint("(status IN ('blocked', 'scheduled', 'retrying')) = (due_at IS NOT NULL)", name="due"),
    CheckConstraint(
        "(status = 'running') = (attempt_started_at IS NOT NULL AND worker_id IS NOT NULL AND attempt > 0)",
        name="running",
    ),
    CheckConstraint("dispatched_at IS NULL OR status IN ('queued', 'running')", name="dispatched"),
    Index(
        "jobs_dispatch_idx", "queue", text("priority DESC"), "id",
        postgresql_where=text("due_at IS NULL AND dispatched_at IS NULL"),
    ),
    Index("jobs_due_idx", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index("jobs_in_flight_idx", "queue", "dispatched_at", postgresql_where=text("dispatched_at IS NOT NULL")),
    Index("jobs_expires_idx", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
    Index(
        "jobs_unique_key_idx", "owner", "type", "unique_key",
        unique=True, postgresql_where=text("unique_key IS NOT NULL"),
    ),
    Index("jobs_owner_idx", "owner", "id"),
    Index("jobs_parent_idx", "parent_id", "id", postgresql_where=text("parent_id IS NOT NULL")),
    # Of nearly all jobs nothing is in it.
    Index("jobs_waiting_for_idx", "type", "id", postgresql_where=text("waiting_for IS NOT NULL")),
    comment="Live jobs: those not finished yet.",
)  # fmt: skip

#: Finished jobs, one row each, partitioned by month of created_at.
job_history = Table(
    "job_history",
    metadata,
    Column("id", Uuid, nullable=False, comment="UUIDv7; ascends with created_at."),
    Column(
        "created_at",
        TIME,
        nullable=False,
        comment="When it was submitted, as its id says. Months are partitions.",
    ),
    *_described("succeeded, failed, cancelled or expired."),
    Column("finished_at", TIME, nullable=False, comment="When it came to its end."),
    Column("result", JSONB, comment="What the handler returned, if it succeeded; NULL once erased."),
    Column(
        "erased_at",
        TIME,
        comment="When payload and result, or all that it held, were erased; the row stays for analytics.",
    ),
    Column(
        "deleted",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="True: erased as a whole, gone from lists and polls.",
    ),
    PrimaryKeyConstraint("id", "created_at"),
    CheckConstraint(_one_of("status", TERMINAL), name="status"),
    CheckConstraint("status <> 'succeeded' OR error IS NULL", name="error"),
    CheckConstraint("status = 'succeeded' OR result IS NULL", name="result"),
    Index("job_history_owner_idx", "owner", "id"),
    Index("job_history_type_idx", "type", "id"),
    Index("job_history_queue_idx", "queue", "id"),
    Index("job_history_parent_idx", "parent_id", "id", postgresql_where=text("parent_id IS NOT NULL")),
    Index(
        "job_history_result_ttl_idx",
        text(f"({RESULT_EXPIRY})"),
        postgresql_where=text("result_ttl IS NOT NULL AND result IS NOT NULL"),
    ),
    Index("job_history_unsuccessful_idx", "status", "id", postgresql_where=text("status <> 'succeeded'")),
    # Failures are few, so these two cost little.
    Index("job_history_failed_idx", "finished_at", postgresql_where=text("status = 'failed'")),
    Index("job_history_failed_owner_idx", "owner", "finished_at", postgresql_where=text("status = 'failed'")),
    # Rows come in the order in which jobs end, so a block range index is exact enough and costs next to nothing.
    Index("job_history_finished_idx", "finished_at", postgresql_using="brin"),
    comment="Finished jobs, partitioned by month of created_at. History goes by retention rules only.",
    postgresql_partition_by="RANGE (created_at)",
)

#: Attempts that ended, partitioned like job_history (created_at is the job's).
job_attempts = Table(
    "job_attempts",
    metadata,
    Column("job_id", Uuid, nullable=False, comment="The job."),
    Column("created_at", TIME, nullable=False, comment="When the job was submitted. Months are partitions."),
    Column("attempt", Integer, nullable=False, comment="Its number, from 1."),
    Column(
        "outcome",
        Text,
        nullable=False,
        comment="succeeded, failed, cancelled or released (handed back by a worker that shut down).",
    ),
    Column(
        "reason",
        Text,
        comment="Why: exception, time_limit, worker_lost, cancelled, invalid_payload or unknown_type.",
    ),
    Column("worker_id", Uuid, nullable=False, comment="The start of a worker process (workers.id) that ran it."),
    Column("worker", Text, nullable=False, comment="Name of that worker process."),
    Column("started_at", TIME, nullable=False, comment="When it started."),
    Column("finished_at", TIME, nullable=False, comment="When it ended."),
    Column("error_type", Text, comment="Name of the exception."),
    Column("error_message", Text, comment="What the exception said; NULL once erased."),
    Column("traceback", Text, comment="Where it was raised; NULL once erased."),
    PrimaryKeyConstraint("job_id", "attempt", "created_at"),
    CheckConstraint("outcome IN ('cancelled', 'failed', 'released', 'succeeded')", name="outcome"),
    # What ran at a time is asked by both. Rows come in the order in which attempts end.
    Index("job_attempts_times_idx", "started_at", "finished_at", postgresql_using="brin"),
    comment="Attempts that ended, partitioned by month of the job's created_at.",
    postgresql_partition_by="RANGE (created_at)",
)

#: Progress reports, partitioned like job_history (created_at is the job's).
job_progress = Table(
    "job_progress",
    metadata,
    Column("job_id", Uuid, nullable=False, comment="The job."),
    Column("created_at", TIME, nullable=False, comment="When the job was submitted. Months are partitions."),
    Column("attempt", Integer, nullable=False, comment="The attempt that reported."),
    # Counts the stored reports of one attempt. One worker writes them, so order of number is order of time.
    Column(
        "seq",
        Integer,
        nullable=False,
        comment="Counts the stored reports of one attempt, in the order of time.",
    ),
    Column("reported_at", TIME, nullable=False, comment="When it was stored."),
    Column("current", Double, nullable=False, comment="How far it is, in the handler's own unit."),
    Column("total", Double, comment="How far it is to go; NULL: unknown."),
    Column("step", Text, comment="What it works on."),
    Column("message", Text, comment="What it says about it."),
    PrimaryKeyConstraint("job_id", "attempt", "seq", "created_at"),
    comment="Stored progress reports, partitioned by month of the job's created_at.",
    postgresql_partition_by="RANGE (created_at)",
)

#: Tables with a partition for each month, and one for the months that have none.
PARTITIONED = (job_history, job_attempts, job_progress)
