"""Histograms as rows, for tools that draw them; no wait where a job never started."""

from pathlib import Path

from alembic import context, op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

VIEWS = Path(__file__).parent.parent / "sql" / "0012_duration_buckets" / "01_views.sql"

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

COMMENT = "The buckets of a histogram that hold a job, as rows: jobs that took up_to seconds at most, and longer than the bucket before."


def upgrade() -> None:
    op.execute(BUCKETS)
    op.execute(f"COMMENT ON FUNCTION callboard.histogram_buckets(numeric) IS '{COMMENT}'")
    if analytics_are_there():
        op.execute(VIEWS.read_text(encoding="utf-8"))


def analytics_are_there() -> bool:
    """False where 0006 could not make schema analytics."""
    return context.is_offline_mode() or bool(
        op.get_bind().exec_driver_sql("SELECT to_regclass('analytics.jobs') IS NOT NULL").scalar()
    )
