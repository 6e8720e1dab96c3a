"""The tables of schema ``callboard``, as SQLAlchemy Core. Alembic makes them; a test compares the two."""

from callboard.db.models.analytics import (
    QUANTILES,
    analysts,
    history_rollup,
    history_rollup_pending,
    history_rollup_state,
    retention_rules,
)
from callboard.db.models.base import SCHEMA, TIME, metadata
from callboard.db.models.jobs import PARTITIONED, RESULT_EXPIRY, job_attempts, job_history, job_progress, jobs
from callboard.db.models.service import (
    api_keys,
    audit_log,
    bulk_actions,
    files,
    idempotency_keys,
    job_checkpoints,
    job_files,
    queues,
    rate_limits,
    workers,
)

__all__ = [
    "PARTITIONED",
    "QUANTILES",
    "RESULT_EXPIRY",
    "SCHEMA",
    "TIME",
    "analysts",
    "api_keys",
    "audit_log",
    "bulk_actions",
    "files",
    "history_rollup",
    "history_rollup_pending",
    "history_rollup_state",
    "idempotency_keys",
    "job_attempts",
    "job_checkpoints",
    "job_files",
    "job_history",
    "job_progress",
    "jobs",
    "metadata",
    "queues",
    "rate_limits",
    "retention_rules",
    "workers",
]
