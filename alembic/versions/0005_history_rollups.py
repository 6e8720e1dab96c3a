"""Rollups of the history: counts and histograms by minute, hour and day, and what keeps them exact."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Lane n of a histogram, twelve decimal digits wide, counts the durations up to 0.001 s × g^n and above
# 0.001 s × g^(n - 1), with g = 1.025 / 0.975; so sum() merges histograms, and the middle of a lane is at most 2.5% off.
HISTOGRAM = """
CREATE FUNCTION callboard.histogram_of(duration interval) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- Not STRICT: such a function would not be inlined.
RETURN CASE WHEN duration IS NOT NULL THEN CAST(
    '1e' || 12 * CAST(
        greatest(0, ceil(ln(greatest(date_part('epoch', duration), 0.001) / 0.001) / ln(1.025::float8 / 0.975)))
        AS integer
    ) AS numeric
) END
"""

QUANTILES = """
CREATE FUNCTION callboard.histogram_quantiles(histogram numeric, fractions double precision[])
RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    digits text := histogram::text;
    -- The lowest lanes are mostly empty: zeros at the end.
    lowest integer := (length(digits) - length(rtrim(digits, '0'))) / 12;
    highest integer := (length(digits) - 1) / 12;
    -- A part of a text is found by counting its characters, one of bytes at once.
    lanes bytea := convert_to(lpad(digits, (highest + 1) * 12, '0'), 'SQL_ASCII');
    found double precision[];
BEGIN
    WITH counts AS MATERIALIZED (
        SELECT lane, sum(convert_from(substring(lanes, (highest - lane) * 12 + 1, 12), 'SQL_ASCII')::bigint)
            OVER (ORDER BY lane) AS upto
        FROM generate_series(lowest, highest) AS lane
    ), quantiles AS (
        SELECT number, (
            SELECT min(lane) FROM counts
            WHERE upto >= greatest(1, ceil(fraction * (SELECT max(upto) FROM counts)))
        ) AS lane
        FROM unnest(fractions) WITH ORDINALITY AS asked (fraction, number)
    )
    SELECT array_agg(
        CASE lane WHEN 0 THEN 0.0005 ELSE 0.000975 * (1.025::float8 / 0.975) ^ lane END ORDER BY number
    ) INTO found FROM quantiles;
    RETURN found;
END
$$
"""

# toast_tuple_target: histograms hold many zeros, so rows are compressed however short they are.
ROLLUP = """
CREATE TABLE callboard.history_rollup (
    grain           text        NOT NULL,
    dimension       text        NOT NULL,
    owner           text,
    starts_at       timestamptz NOT NULL,
    value           text        NOT NULL,
    jobs            bigint      NOT NULL,
    succeeded       bigint      NOT NULL,
    failed          bigint      NOT NULL,
    cancelled       bigint      NOT NULL,
    expired         bigint      NOT NULL,
    attempts        bigint      NOT NULL,
    waited          bigint      NOT NULL,
    wait_sum        interval,
    wait_max        interval,
    wait_histogram  numeric,
    ran             bigint      NOT NULL,
    run_sum         interval,
    run_max         interval,
    run_histogram   numeric,
    CONSTRAINT history_rollup_grain_check CHECK (grain IN ('day', 'hour', 'minute')),
    CONSTRAINT history_rollup_dimension_check CHECK (dimension IN ('owner', 'queue', 'status', 'total', 'type'))
) WITH (toast_tuple_target = 128, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)
"""

INDEXES = (
    """CREATE UNIQUE INDEX history_rollup_key_idx ON callboard.history_rollup
       (grain, dimension, owner, starts_at, value) NULLS NOT DISTINCT""",
    "CREATE INDEX history_rollup_starts_at_idx ON callboard.history_rollup (grain, dimension, starts_at)",
)

UPKEEP = (
    """
    CREATE TABLE callboard.history_rollup_state (
        single          boolean     NOT NULL DEFAULT true CONSTRAINT history_rollup_state_pkey PRIMARY KEY,
        followed_at     timestamptz,
        running         jsonb       NOT NULL DEFAULT '{}'::jsonb,
        frozen_before   timestamptz,
        CONSTRAINT history_rollup_state_single_check CHECK (single)
    )
    """,
    """
    CREATE TABLE callboard.history_rollup_pending (
        id              bigint      NOT NULL GENERATED ALWAYS AS IDENTITY
            CONSTRAINT history_rollup_pending_pkey PRIMARY KEY,
        starts_at       timestamptz NOT NULL,
        ends_at         timestamptz NOT NULL
    )
    """,
    "CREATE INDEX history_rollup_pending_starts_at_idx ON callboard.history_rollup_pending (starts_at)",
)

# Failures are few, so these cost little; what failed lately is asked often.
FAILURES = (
    "CREATE INDEX job_history_failed_idx ON callboard.job_history (finished_at) WHERE status = 'failed'",
    "CREATE INDEX job_history_failed_owner_idx ON callboard.job_history (owner, finished_at) WHERE status = 'failed'",
)


COMMENTS = {
    "TABLE callboard.history_rollup": "Finished jobs, counted and measured by the time they finished at: a row for each period, dimension and value. Rows of different dimensions count the same jobs. sum() merges rows of one dimension, max() their maxima.",
    "COLUMN callboard.history_rollup.grain": "Length of the period: minute (of a day), hour, or day (UTC).",
    "COLUMN callboard.history_rollup.dimension": "What value is: a type, queue, status or owner; total: nothing.",
    "COLUMN callboard.history_rollup.owner": "Whose jobs alone are counted; NULL: those of all owners. Dimension owner: the value.",
    "COLUMN callboard.history_rollup.starts_at": "Beginning of the period in which the jobs finished.",
    "COLUMN callboard.history_rollup.value": "The type, queue, status or owner; empty for total.",
    "COLUMN callboard.history_rollup.jobs": "Jobs that finished, whatever came of them.",
    "COLUMN callboard.history_rollup.succeeded": "Those that succeeded.",
    "COLUMN callboard.history_rollup.failed": "Those that failed for good.",
    "COLUMN callboard.history_rollup.cancelled": "Those that were cancelled.",
    "COLUMN callboard.history_rollup.expired": "Those that were not started in time.",
    "COLUMN callboard.history_rollup.attempts": "Attempts that all of them took.",
    "COLUMN callboard.history_rollup.waited": "Jobs that started.",
    "COLUMN callboard.history_rollup.wait_sum": "From created_at, or a later scheduled_at, to the first start.",
    "COLUMN callboard.history_rollup.wait_max": "The longest of these waits.",
    "COLUMN callboard.history_rollup.wait_histogram": "For callboard.histogram_quantiles; sum() merges histograms.",
    "COLUMN callboard.history_rollup.ran": "Jobs that ended in an attempt.",
    "COLUMN callboard.history_rollup.run_sum": "From the start of the last attempt to its end.",
    "COLUMN callboard.history_rollup.run_max": "The longest of these runs.",
    "COLUMN callboard.history_rollup.run_histogram": "For callboard.histogram_quantiles; sum() merges histograms.",
    "COLUMN callboard.history_rollup_state.followed_at": "All that was committed by then has been counted, or is pending.",
    "COLUMN callboard.history_rollup_state.running": "Transactions that had not ended then, with a time before which each had not begun to write.",
    "COLUMN callboard.history_rollup_state.frozen_before": "Earlier hours keep their numbers: some of their history is gone.",
    "COLUMN callboard.history_rollup_pending.starts_at": "In the same hour as ends_at.",
    "FUNCTION callboard.histogram_of(interval)": "The histogram of one duration; sum() merges histograms.",
    "FUNCTION callboard.histogram_quantiles(numeric, double precision[])": "Seconds within which these fractions of the durations of a histogram lie, each at most 2.5% off; below a millisecond, half a millisecond.",
}


def upgrade() -> None:
    # Nothing has ever been written to the first form of this table, nor read from it.
    op.execute("-- squawk-ignore ban-drop-table\nDROP TABLE callboard.history_rollup")
    for statement in (HISTOGRAM, QUANTILES, ROLLUP, *INDEXES, *UPKEEP, *FAILURES):
        op.execute(statement)
    for thing, comment in COMMENTS.items():
        op.execute(f"COMMENT ON {thing} IS '{comment}'")
