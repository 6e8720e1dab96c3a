"""Tables about the history: rollups, retention rules, analysts."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Double,
    Identity,
    Index,
    Integer,
    Interval,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from callboard.db.models.base import TIME, metadata

QUANTILES: Final = (0.5, 0.95, 0.99)
"""Which quantiles of waits and runs ``history_rollup`` holds."""


def _quantiles(of: str) -> Computed:
    fractions = ",".join(map(str, QUANTILES))
    return Computed(f"callboard.histogram_quantiles({of}, '{{{fractions}}}'::double precision[])", persisted=True)


#: Counts, sums and histograms of the history by the time at which jobs finished: see ``callboard.db.history.rollups``.
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
    Column(
        "wait_quantiles", ARRAY(Double), _quantiles("wait_histogram"), comment="Their p50, p95 and p99, in seconds."
    ),
    Column("run_quantiles", ARRAY(Double), _quantiles("run_histogram"), comment="Their p50, p95 and p99, in seconds."),
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
    Column(
        "followed_at",
        TIME,
        comment="What finished before is counted, or pending, or of a transaction in running.",
    ),
    Column(
        "running",
        JSONB,
        nullable=False,
        server_default=text("'{}'::jsonb"),
        comment="Transactions that had not ended then, with a time before which each had not begun.",
    ),
    Column("frozen_before", TIME, comment="Earlier hours keep their numbers: some of their history is gone."),
    CheckConstraint("single", name="single"),
)

#: Periods whose jobs are to be recounted, both ends included.
history_rollup_pending = Table(
    "history_rollup_pending",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("starts_at", TIME, nullable=False, comment="In the same hour as ends_at."),
    Column("ends_at", TIME, nullable=False),
    Index("history_rollup_pending_starts_at_idx", "starts_at"),
)

#: How long history is kept: see ``callboard.db.history.retention``.
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

#: Database roles that see one owner's jobs only: see ``callboard.db.schema.analysts``.
analysts = Table(
    "analysts",
    metadata,
    Column("name", Text, primary_key=True, comment="Name of the database role."),
    Column("owner", Text, nullable=False, comment="Whose jobs it sees."),
    comment="Database roles of analysts who see one owner's jobs only.",
)
