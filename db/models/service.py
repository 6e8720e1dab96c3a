"""Tables beside the jobs: workers, queues, keys, limits, files, checkpoints, bulk actions."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from callboard.db.models.base import TIME, metadata

workers = Table(
    "workers",
    metadata,
    # One boot of one process: a process that is restarted has a new id.
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("queues", ARRAY(Text), nullable=False),
    # Job types that it knows.
    Column("types", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
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

#: Token buckets, as of the last time that tokens were taken. Unlogged: after a crash, full buckets are right.
rate_limits = Table(
    "rate_limits",
    metadata,
    Column("name", Text, primary_key=True),
    Column("tokens", Double, nullable=False),
    Column("refilled_at", TIME, nullable=False),
    prefixes=["UNLOGGED"],
)

#: Triggers refuse all changes of it but new entries, and the deletion of old ones by retention.
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
    Column("key_id", Text),
    Index("audit_log_job_idx", "job_id", postgresql_where=text("job_id IS NOT NULL")),
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

#: Outputs: the files that attempts have attached to their jobs. ``files`` has their other columns.
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

#: Checkpoints and results of steps: see ``callboard.db.attempt.checkpoints``.
job_checkpoints = Table(
    "job_checkpoints",
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

#: The position of each bulk action, written with each of its batches: a later attempt goes on from there.
bulk_actions = Table(
    "bulk_actions",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    # Jobs that matched when it began, NULL for too many to count. Only its progress needs it.
    Column("total", BigInteger),
    # It goes from newer jobs to older ones; every matching job from this id on is done.
    Column("before_id", Uuid, nullable=False),
    Column("counts", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
)

#: See ``callboard.db.sql.locks``.
locks = Table(
    "locks",
    metadata,
    Column("name", Text, primary_key=True, comment="What is locked."),
    Column(
        "seed",
        BigInteger,
        nullable=False,
        server_default=text("hashtextextended((gen_random_uuid())::text, (0)::bigint)"),
        comment="Makes the numbers of advisory locks that nobody can tell who may not read it.",
    ),
    comment="Rows that transactions lock, so that one process at a time does a thing.",
)
