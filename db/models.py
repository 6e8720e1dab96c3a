"""The tables of schema ``callboard``, as SQLAlchemy Core. Alembic makes them; a test holds the two alike."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
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


def _described() -> list[Column[object]]:
    """Columns that a job has while it lives and keeps in its history."""
    return [
        Column("type", Text, nullable=False),
        Column("queue", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("priority", SmallInteger, nullable=False),
        Column("owner", Text, nullable=False),
        Column("payload", JSONB, nullable=True),
        Column("tags", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        Column("attempt", Integer, nullable=False, server_default=text("0")),
        Column("retries", Integer, nullable=False, server_default=text("0")),
        Column("max_retries", Integer, nullable=False),
        Column("time_limit", Double, nullable=False),
        Column("revision", Integer, nullable=False, server_default=text("0")),
        Column("scheduled_at", TIME),
        Column("expires_at", TIME),
        Column("started_at", TIME),
        Column("attempt_started_at", TIME),
        Column("cancel_requested_at", TIME),
        Column("worker_id", Uuid),
        Column("worker", Text),
        Column("progress", JSONB),
        Column("error", JSONB),
        Column("parent_id", Uuid),
        Column("batch_id", Uuid),
        Column("unique_key", Text),
        Column("fairness_key", Text),
        Column("concurrency_key", Text),
        Column("webhook_url", Text),
        Column("traceparent", Text),
    ]


#: Live jobs. A claim must stay a heap-only-tuple update: no index below names a column that it changes
#: (status, attempt, worker, the times of the attempt, revision), not even in its WHERE.
jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("created_at", TIME, nullable=False),
    *_described(),
    # When a scheduled or retrying job becomes queued; 'infinity' while it is blocked.
    Column("due_at", TIME),
    # When its message was last confirmed by the broker. NULL together with due_at: it is the dispatcher's turn.
    Column("dispatched_at", TIME),
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
)  # fmt: skip

#: Finished jobs, one row each, partitioned by month of created_at.
job_history = Table(
    "job_history",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("created_at", TIME, nullable=False),
    *_described(),
    Column("finished_at", TIME, nullable=False),
    Column("result", JSONB),
    # When a client had payload, result, error and progress erased; the row stays for analytics.
    Column("erased_at", TIME),
    # True when the job was erased as a whole: gone from lists and polls.
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("id", "created_at"),
    CheckConstraint(_one_of("status", TERMINAL), name="status"),
    CheckConstraint("status <> 'succeeded' OR error IS NULL", name="error"),
    CheckConstraint("status = 'succeeded' OR result IS NULL", name="result"),
    Index("job_history_owner_idx", "owner", "id"),
    Index("job_history_type_idx", "type", "id"),
    Index("job_history_parent_idx", "parent_id", "id", postgresql_where=text("parent_id IS NOT NULL")),
    Index("job_history_unsuccessful_idx", "status", "id", postgresql_where=text("status <> 'succeeded'")),
    # Rows come in the order in which jobs end, so a block range index is exact enough and costs next to nothing.
    Index("job_history_finished_idx", "finished_at", postgresql_using="brin"),
    postgresql_partition_by="RANGE (created_at)",
)

#: Attempts that ended, partitioned like job_history (created_at is the job's).
job_attempts = Table(
    "job_attempts",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("worker_id", Uuid, nullable=False),
    Column("worker", Text, nullable=False),
    Column("started_at", TIME, nullable=False),
    Column("finished_at", TIME, nullable=False),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("traceback", Text),
    PrimaryKeyConstraint("job_id", "attempt", "created_at"),
    CheckConstraint("outcome IN ('cancelled', 'failed', 'released', 'succeeded')", name="outcome"),
    postgresql_partition_by="RANGE (created_at)",
)

#: Progress reports, partitioned like job_history (created_at is the job's).
job_progress = Table(
    "job_progress",
    metadata,
    Column("job_id", Uuid, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("attempt", Integer, nullable=False),
    # Counts the stored reports of one attempt. One worker writes them, so order of number is order of time.
    Column("seq", Integer, nullable=False),
    Column("reported_at", TIME, nullable=False),
    Column("current", Double, nullable=False),
    Column("total", Double),
    Column("step", Text),
    Column("message", Text),
    PrimaryKeyConstraint("job_id", "attempt", "seq", "created_at"),
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

history_rollup = Table(
    "history_rollup",
    metadata,
    Column("hour", TIME, nullable=False),
    Column("type", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("jobs", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    # Seconds. Wait: created (or due) to first start. Run: start to end of the last attempt.
    Column("wait_sum", Double, nullable=False),
    Column("wait_max", Double, nullable=False),
    Column("wait_histogram", ARRAY(BigInteger), nullable=False),
    Column("run_sum", Double, nullable=False),
    Column("run_max", Double, nullable=False),
    Column("run_histogram", ARRAY(BigInteger), nullable=False),
    PrimaryKeyConstraint("hour", "type", "queue", "outcome"),
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
