"""What a job waits for, since when it is due, and which job types a worker knows."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

COMMENTS = {
    "jobs.waiting_for":
        "What it waited for last, other than its time or its turn: kind, and which attempt; NULL: nothing.",
    "job_history.waiting_for":
        "What it waited for last, other than its time or its turn: kind, and which attempt; NULL: nothing.",
    "jobs.queued_at": "When it was due: since when it is queued, or was before it ran.",
    "jobs.due_at":
        "When a scheduled, retrying or blocked job becomes queued; ''infinity'': something else decides.",
}  # fmt: skip

# A job that an older release has made or queued has no queued_at.
OLDEST_WAITING = """
CREATE OR REPLACE VIEW analytics.oldest_waiting WITH (security_invoker = true) AS
SELECT
    queue, type, count(*) AS jobs,
    min(coalesce(queued_at, greatest(created_at, scheduled_at))) AS waiting_since,
    extract(epoch FROM now() - min(coalesce(queued_at, greatest(created_at, scheduled_at))))::double precision
        AS wait_seconds,
    (array_agg(id ORDER BY coalesce(queued_at, greatest(created_at, scheduled_at)), id))[1] AS job_id
FROM callboard.jobs
WHERE status = 'queued' AND due_at IS NULL
GROUP BY queue, type
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE callboard.jobs ADD COLUMN IF NOT EXISTS waiting_for jsonb")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS callboard.jobs_waiting_for_idx")
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_waiting_for_idx ON callboard.jobs (type, id) "
            "WHERE waiting_for IS NOT NULL"
        )
    op.execute("ALTER TABLE callboard.jobs ADD COLUMN queued_at timestamptz")
    op.execute("ALTER TABLE callboard.job_history ADD COLUMN waiting_for jsonb")
    op.execute("ALTER TABLE callboard.workers ADD COLUMN types text[] NOT NULL DEFAULT '{}'::text[]")
    for column, comment in COMMENTS.items():
        op.execute(f"COMMENT ON COLUMN callboard.{column} IS '{comment}'")
    op.execute(OLDEST_WAITING)
