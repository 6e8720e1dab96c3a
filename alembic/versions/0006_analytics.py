"""Schema analytics, what its readers may see, retention rules, and the words that describe all of it."""

from pathlib import Path

from alembic import context, op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql" / "0006_analytics"
INDEX = "job_attempts_times_idx"
# What is in schema analytics. Callboard works without it, and makes it later (db/schema/analytics.py) where this user may
# not make it now.
ANALYTICS = ("01_schema.sql", "03_jobs.sql", "04_hours.sql", "05_days.sql")
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
    with_analytics = analytics_may_be_made()
    for script in sorted(SQL.glob("*.sql")):
        if with_analytics or script.name not in ANALYTICS:
            op.execute(script.read_text(encoding="utf-8"))


def analytics_may_be_made() -> bool:
    """Make the schema, unless somebody has made it for this user. CREATE SCHEMA IF NOT EXISTS asks for the right to."""
    if not context.is_offline_mode():
        there, may_use, may_make = (
            op.get_bind()
            .exec_driver_sql(
                "SELECT to_regnamespace('analytics') IS NOT NULL, has_schema_privilege(to_regnamespace('analytics'), "
                "'CREATE'), has_database_privilege(current_database(), 'CREATE')"
            )
            .one()
        )
        if there or not may_make:
            return bool(may_use)
    op.execute("CREATE SCHEMA analytics")
    return True


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
