"""Histograms that PostgreSQL makes within the query, and how far the rollups have followed."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# As before, but for the conversion of the lane to text: that of || is only STABLE, and such a body is not put into the
# query that calls it but run as one of its own, once for each job.
HISTOGRAM = """
CREATE OR REPLACE FUNCTION callboard.histogram_of(duration interval) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- Not STRICT: such a function would not be inlined.
RETURN CASE WHEN duration IS NOT NULL THEN CAST(
    '1e' || CAST(12 * CAST(
        greatest(0, ceil(ln(greatest(date_part('epoch', duration), 0.001) / 0.001) / ln(1.025::float8 / 0.975)))
        AS integer
    ) AS text) AS numeric
) END
"""

COMMENTS = {
    "COLUMN callboard.history_rollup_state.followed_at":
        "What finished before is counted, or pending, or of a transaction in running.",
    "COLUMN callboard.history_rollup_state.running":
        "Transactions that had not ended then, with a time before which each had not begun.",
}  # fmt: skip


def upgrade() -> None:
    op.execute(HISTOGRAM)
    for thing, comment in COMMENTS.items():
        op.execute(f"COMMENT ON {thing} IS '{comment}'")
