"""Schema analytics, what its readers may see, retention rules, and the words that describe all of it."""

from pathlib import Path

from alembic import context, op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql" / "0006_analytics"
INDEX = "job_attempts_times_idx"
TIMES = "USING brin (started_at, finished_at) WITH (pages_per_range = 32, autosummarize = on)"


def upgrade() -> None:
    # First, as it commits: it can be repeated, the rest cannot. An index of a partitioned table cannot be made
    # concurrently, so each partition gets its own, and then they are one.
    with op.get_context().autocommit_block():
        op.execute(
            "-- squawk-ignore require-concurrent-index-creation\n"
            f"CREATE INDEX IF NOT EXISTS {INDEX} ON ONLY callboard.job_attempts {TIMES}"
        )
        for partition in partitions_without_index():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS callboard.{partition}_times_idx")
            op.execute(
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {partition}_times_idx ON callboard.{partition} {TIMES}"
            )
            op.execute(f"ALTER INDEX callboard.{INDEX} ATTACH PARTITION callboard.{partition}_times_idx")
    for script in sorted(SQL.glob("*.sql")):
        op.execute(script.read_text(encoding="utf-8"))


def partitions_without_index() -> list[str]:
    if context.is_offline_mode():
        return ["job_attempts_default"]
    listed = f"""
        SELECT relname FROM pg_partition_tree('callboard.job_attempts') AS part JOIN pg_class ON pg_class.oid = relid
        WHERE isleaf AND NOT EXISTS (
            SELECT FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid
            WHERE inhparent = 'callboard.{INDEX}'::regclass AND indrelid = relid
        )
    """  # noqa: S608 - the name is the one above
    return list(op.get_bind().exec_driver_sql(listed).scalars())
