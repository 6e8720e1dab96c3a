"""The tables of schema ``callboard``, as SQLAlchemy Core. Alembic makes them; a test holds the two alike."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.states import LIVE, TERMINAL

SCHEMA = "callboard"
TIME = DateTime(timezone=True)

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    },
)


def _one_of(column: str, values: frozenset[str]) -> str:
    return f"{column} IN ({', '.join(repr(str(value)) for value in sorted(values))})"


def _described(statuses: str) -> list[Column[object]]:
    """Columns that a job has while it lives and keeps in its history."""
    return [
        Column("type", Text, nullable=False, comment="Job type."),
        Column("queue", Text, nullable=False, comment="Queue it is sent through."),
        Column("status", Text, nullable=False, comment=statuses),
        Column("priority", SmallInteger, nullable=False, comment="0 to 9, higher first."),
        Column("owner", Text, nullable=False, comment="Whose job it is: the client that submitted it."),
        Column("payload", JSONB, nullable=True, comment="What the handler is given; NULL once erased."),
        Column(
            "tags",
            JSONB,
            nullable=False,
            server_default=text("'{}'::jsonb"),
            comment="What the client labelled it with: an object of strings.",
        ),
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
        Column("max_retries", Integer, nullable=False, comment="How many it has."),
        Column("time_limit", Double, nullable=False, comment="Longest run of one attempt, in seconds."),
        Column(
            "revision",
            Integer,
            nullable=False,
            server_default=text("0"),
            comment="Grows with everything that a client may see of the job.",
        ),
        Column("scheduled_at", TIME, comment="When it is to start at the earliest; NULL: at once."),
        Column("expires_at", TIME, comment="When it is given up unless it has started; NULL: never."),
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
        Column("parent_id", Uuid, comment="The job that submitted it, if one did."),
        Column("batch_id", Uuid, comment="The batch it was submitted in, if it was."),
        Column("unique_key", Text, comment="At most one live job of an owner and type has it."),
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
    Column("due_at", TIME, comment="When a scheduled or retrying job becomes queued; 'infinity': it is blocked."),
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
    Index("job_history_parent_idx", "parent_id", "id", postgresql_where=text("parent_id IS NOT NULL")),
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

workers = Table(
    "workers",
    metadata,
    # One boot of one process: a process that starts again has a new id.
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("queues", ARRAY(Text), nullable=False),
    Column("threads", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", TIME, nullable=False),
    Column("last_seen_at", TIME, nullable=False),
    CheckConstraint("state IN ('draining', 'lost', 'running', 'stopped')", name="state"),
    Index("workers_last_seen_idx", "last_seen_at"),
)

queues = Table(
    "queues",
    metadata,
    Column("name", Text, primary_key=True),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("dispatch_window", Integer),
    Column("concurrency_limit", Integer),
    # At most rate_limit starts in each rate_period seconds.
    Column("rate_limit", Integer),
    Column("rate_period", Double),
    Column("created_at", TIME, nullable=False, server_default=text("now()")),
    Column("updated_at", TIME, nullable=False, server_default=text("now()")),
    CheckConstraint("dispatch_window > 0", name="dispatch_window"),
    CheckConstraint("concurrency_limit >= 0", name="concurrency_limit"),
    CheckConstraint(
        "rate_limit >= 0 AND rate_period > 0 AND (rate_limit IS NULL) = (rate_period IS NULL)", name="rate"
    ),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner", Text, nullable=False),
    Column("key", Text, nullable=False),
    # The jobs that the first request made, in its order.
    Column("job_ids", ARRAY(Uuid), nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("expires_at", TIME, nullable=False),
    PrimaryKeyConstraint("owner", "key"),
    Index("idempotency_keys_expires_idx", "expires_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("max_live_jobs", Integer),
    Column("submissions_per_second", Double),
    Column("created_at", TIME, nullable=False, server_default=text("now()")),
    Column("expires_at", TIME),
    Column("revoked_at", TIME),
    CheckConstraint("role IN ('admin', 'client', 'operator', 'viewer')", name="role"),
)

#: Token buckets: what each held when somebody last took some. Unlogged, as full ones are right after a crash.
rate_limits = Table(
    "rate_limits",
    metadata,
    Column("name", Text, primary_key=True),
    Column("tokens", Double, nullable=False),
    Column("refilled_at", TIME, nullable=False),
    prefixes=["UNLOGGED"],
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", TIME, nullable=False, server_default=text("now()")),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("job_id", Uuid),
    Column("subject", Text),
    Column("remote", Text),
    Column("request_id", Text),
    Index("audit_log_job_idx", "job_id", postgresql_where=text("job_id IS NOT NULL")),
)

#: The history, counted and measured by the time at which jobs finished: see ``db.rollups``.
history_rollup = Table(
    "history_rollup",
    metadata,
    Column("grain", Text, nullable=False, comment="Length of the period: minute (of a day), hour, or day (UTC)."),
    Column("dimension", Text, nullable=False, comment="What value is: a type, queue, status or owner; total: nothing."),
    Column(
        "owner", Text, comment="Whose jobs alone are counted; NULL: those of all owners. Dimension owner: the value."
    ),
    Column("starts_at", TIME, nullable=False, comment="Beginning of the period in which the jobs finished."),
    Column("value", Text, nullable=False, comment="The type, queue, status or owner; empty for total."),
    Column("jobs", BigInteger, nullable=False, comment="Jobs that finished, whatever came of them."),
    Column("succeeded", BigInteger, nullable=False, comment="Those that succeeded."),
    Column("failed", BigInteger, nullable=False, comment="Those that failed for good."),
    Column("cancelled", BigInteger, nullable=False, comment="Those that were cancelled."),
    Column("expired", BigInteger, nullable=False, comment="Those that were not started in time."),
    Column("attempts", BigInteger, nullable=False, comment="Attempts that all of them took."),
    Column("waited", BigInteger, nullable=False, comment="Jobs that started."),
    Column("wait_sum", Interval, comment="From created_at, or a later scheduled_at, to the first start."),
    Column("wait_max", Interval, comment="The longest of these waits."),
    Column("wait_histogram", Numeric, comment="For callboard.histogram_quantiles; sum() merges histograms."),
    Column("ran", BigInteger, nullable=False, comment="Jobs that ended in an attempt."),
    Column("run_sum", Interval, comment="From the start of the last attempt to its end."),
    Column("run_max", Interval, comment="The longest of these runs."),
    Column("run_histogram", Numeric, comment="For callboard.histogram_quantiles; sum() merges histograms."),
    CheckConstraint("grain IN ('day', 'hour', 'minute')", name="grain"),
    CheckConstraint("dimension IN ('owner', 'queue', 'status', 'total', 'type')", name="dimension"),
    Index(
        "history_rollup_key_idx", "grain", "dimension", "owner", "starts_at", "value",
        unique=True, postgresql_nulls_not_distinct=True,
    ),
    Index("history_rollup_starts_at_idx", "grain", "dimension", "starts_at"),
    comment="Finished jobs, counted and measured by the time they finished at: a row for each period, dimension and "
    "value. Rows of different dimensions count the same jobs. sum() merges rows of one dimension, max() their maxima.",
)  # fmt: skip

#: How far the rollups have followed the history: one row.
history_rollup_state = Table(
    "history_rollup_state",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=text("true")),
    Column("followed_at", TIME, comment="All that was committed by then has been counted, or is pending."),
    Column(
        "running",
        JSONB,
        nullable=False,
        server_default=text("'{}'::jsonb"),
        comment="Transactions that had not ended then, with a time before which each had not begun to write.",
    ),
    Column("frozen_before", TIME, comment="Earlier hours keep their numbers: some of their history is gone."),
    CheckConstraint("single", name="single"),
)

#: Times whose jobs are to be counted anew; both ends belong to them.
history_rollup_pending = Table(
    "history_rollup_pending",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("starts_at", TIME, nullable=False, comment="In the same hour as ends_at."),
    Column("ends_at", TIME, nullable=False),
    Index("history_rollup_pending_starts_at_idx", "starts_at"),
)

files = Table(
    "files",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("created_at", TIME, nullable=False),
    Index("files_owner_idx", "owner", "id"),
)

#: The files that attempts attached to their jobs; the rest of what is known of each is in ``files``.
job_files = Table(
    "job_files",
    metadata,
    Column(
        "file_id",
        Uuid,
        ForeignKey("callboard.files.id", name="job_files_file_id_fkey", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("job_id", Uuid, nullable=False),
    Column("attempt", Integer, nullable=False),
    CheckConstraint("attempt > 0", name="attempt"),
    Index("job_files_job_idx", "job_id", "file_id"),
)

#: What an attempt leaves for those after it: see ``db.memos``.
job_memos = Table(
    "job_memos",
    metadata,
    Column("job_id", Uuid, nullable=False, comment="The job."),
    Column("created_at", TIME, nullable=False, comment="When the job was submitted."),
    Column("kind", Text, nullable=False, comment="checkpoint, or step: a part of the work that is done for good."),
    Column("key", Text, nullable=False, comment="Which step; empty for the checkpoint."),
    Column("attempt", Integer, nullable=False, comment="The attempt that stored it."),
    # Not jsonb: a handler gets back exactly what it gave, NUL characters and the order of keys included.
    Column("data", JSON, nullable=False, comment="What the handler gave."),
    Column("saved_at", TIME, nullable=False, server_default=text("now()"), comment="When it was stored."),
    PrimaryKeyConstraint("job_id", "kind", "key"),
    CheckConstraint("kind IN ('checkpoint', 'step')", name="kind"),
    CheckConstraint("attempt > 0", name="attempt"),
    comment="Checkpoints and steps of jobs that may run again: what an attempt leaves for those after it.",
)

#: How far a bulk action has come, written with each of its batches: whoever takes it over goes on from there.
bulk_actions = Table(
    "bulk_actions",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    # Jobs that matched when it began, NULL for too many to count: for its progress alone.
    Column("total", BigInteger),
    # It goes from newer jobs to older ones; every matching job from this id on is done with.
    Column("before_id", Uuid, nullable=False),
    Column("counts", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
)

#: How long history is kept: see ``db.retention``.
retention_rules = Table(
    "retention_rules",
    metadata,
    Column("type", Text, nullable=False, comment="Job type; * stands for all."),
    Column("outcome", Text, nullable=False, comment="succeeded, failed, cancelled or expired; * stands for all."),
    Column("keep_days", Integer, comment="Days from finished_at; NULL: for ever."),
    Column("updated_at", TIME, nullable=False, server_default=text("now()"), comment="When the rule was set."),
    PrimaryKeyConstraint("type", "outcome"),
    CheckConstraint("outcome IN ('*', 'cancelled', 'expired', 'failed', 'succeeded')", name="outcome"),
    CheckConstraint("keep_days >= 1", name="keep_days"),
    comment="How long history is kept: the closest rule counts, without any it stays.",
)

#: Database roles that see one owner's jobs only: see ``db.analysts``.
analysts = Table(
    "analysts",
    metadata,
    Column("name", Text, primary_key=True, comment="Name of the database role."),
    Column("owner", Text, nullable=False, comment="Whose jobs it sees."),
    comment="Database roles of analysts who see one owner's jobs only.",
)
