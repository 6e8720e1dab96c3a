"""Reads of long histories: percentiles beside the histograms they are read from, lists of one queue."""

from pathlib import Path

from alembic import context, op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql" / "0009_history_reads"
INDEX = "job_history_queue_idx"


def upgrade() -> None:
    # First, as it commits: it can be repeated, the rest cannot. See 0006.
    with op.get_context().autocommit_block():
        op.execute(
            "-- squawk-ignore require-concurrent-index-creation\n"
            f"CREATE INDEX IF NOT EXISTS {INDEX} ON ONLY callboard.job_history (queue, id)"
        )
        for partition in partitions_without_index():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS callboard.{partition}_queue_id_idx")
            op.execute(
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {partition}_queue_id_idx ON callboard.{partition} (queue, id)"
            )
            op.execute(f"ALTER INDEX callboard.{INDEX} ATTACH PARTITION callboard.{partition}_queue_id_idx")
    for script in sorted(SQL.glob("*.sql")):
        if script.name != "02_views.sql" or analytics_are_there():
            op.execute(script.read_text(encoding="utf-8"))


def analytics_are_there() -> bool:
    """False where 0006 could not make schema analytics."""
    return context.is_offline_mode() or bool(
        op.get_bind().exec_driver_sql("SELECT to_regclass('analytics.jobs') IS NOT NULL").scalar()
    )


def partitions_without_index() -> list[str]:
    if context.is_offline_mode():
        return ["job_history_default"]
    listed = f"""
        SELECT relname FROM pg_partition_tree('callboard.job_history') AS part JOIN pg_class ON pg_class.oid = relid
        WHERE isleaf AND NOT EXISTS (
            SELECT FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid
            WHERE inhparent = 'callboard.{INDEX}'::regclass AND indrelid = relid
        )
    """  # noqa: S608 - the name is the one above
    return list(op.get_bind().exec_driver_sql(listed).scalars())
