"""What a job waits for, since when it is due, and which job types a worker knows."""

from pathlib import Path

from alembic import context, op

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

VIEWS = Path(__file__).parent.parent / "sql" / "0016_waiting_for_workers" / "01_views.sql"


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
    if analytics_are_there():
        op.execute(VIEWS.read_text(encoding="utf-8"))


def analytics_are_there() -> bool:
    """False where 0006 could not make schema analytics."""
    return context.is_offline_mode() or bool(
        op.get_bind().exec_driver_sql("SELECT to_regclass('analytics.jobs') IS NOT NULL").scalar()
    )
