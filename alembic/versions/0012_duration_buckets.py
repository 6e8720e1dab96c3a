"""Histograms as rows, for tools that draw them; no wait where a job never started."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# The lanes are those of callboard.histogram_of, see 0005: twelve digits each, the lowest last.
BUCKETS = """
CREATE FUNCTION callboard.histogram_buckets(histogram numeric)
RETURNS TABLE (up_to double precision, jobs bigint)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$
    WITH digits AS MATERIALIZED (
        -- A part of a text is found by counting its characters, one of bytes at once.
        SELECT (length(histogram::text) - 1) / 12 AS highest,
            convert_to(lpad(histogram::text, ((length(histogram::text) - 1) / 12 + 1) * 12, '0'), 'SQL_ASCII') AS lanes
    ), counts AS (
        SELECT lane, convert_from(substring(lanes, (highest - lane) * 12 + 1, 12), 'SQL_ASCII')::bigint AS jobs
        FROM digits, generate_series(0, highest) AS lane
    )
    SELECT 0.001 * (1.025::float8 / 0.975) ^ lane, jobs FROM counts WHERE jobs > 0 ORDER BY lane
$$
"""

DURATIONS = """
CREATE VIEW analytics.durations WITH (security_invoker = true) AS
SELECT hour, type, measure, up_to AS up_to_seconds, buckets.jobs
FROM analytics.hourly
CROSS JOIN LATERAL (VALUES ('wait', wait_histogram), ('run', run_histogram)) AS measured (measure, histogram)
CROSS JOIN LATERAL callboard.histogram_buckets(histogram) AS buckets
"""

# Columns as in 0006. There greatest() took the missing start of a job that never started for a wait of 0.
JOBS = """
CREATE OR REPLACE VIEW analytics.jobs WITH (security_invoker = true) AS
SELECT
    id, created_at, type, queue, status, priority, owner, tags, attempt AS attempts, retries, max_retries, time_limit,
    scheduled_at, expires_at, started_at, attempt_started_at, finished_at, worker, parent_id, batch_id, deleted,
    CASE WHEN started_at IS NOT NULL THEN
        greatest(0, extract(epoch FROM started_at - greatest(created_at, scheduled_at)))
    END::double precision AS wait_seconds,
    extract(epoch FROM finished_at - attempt_started_at)::double precision AS run_seconds
FROM callboard.job_history
"""

COMMENTS = {
    "FUNCTION callboard.histogram_buckets(numeric)": "The buckets of a histogram that hold a job, as rows: jobs that took up_to seconds at most, and longer than the bucket before.",
    "VIEW analytics.durations": "How many jobs waited and ran how long, by hour and type: a row for each bucket of the histogram that holds a job. Bound hour.",
    "COLUMN analytics.durations.hour": "Beginning of the hour (UTC) in which they finished.",
    "COLUMN analytics.durations.type": "Job type.",
    "COLUMN analytics.durations.measure": "wait: from when they were due to their first start; run: their last attempt.",
    "COLUMN analytics.durations.up_to_seconds": "Highest duration of the bucket; the lowest is 5 percent less. The first bucket, 0.001, begins at 0.",
    "COLUMN analytics.durations.jobs": "Jobs in the bucket.",
}  # fmt: skip


def upgrade() -> None:
    op.execute(BUCKETS)
    op.execute(DURATIONS)
    op.execute(JOBS)
    for relation, comment in COMMENTS.items():
        op.execute(f"COMMENT ON {relation} IS '{comment}'")
