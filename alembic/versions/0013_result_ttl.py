"""How long a result is kept after a success, as its submission says."""

from alembic import context, op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INDEX = "job_history_result_ttl_idx"
ENTRY = """
    ((finished_at AT TIME ZONE 'UTC' + result_ttl * interval '1 second'))
    WHERE result_ttl IS NOT NULL AND result IS NOT NULL
"""
COMMENT = "Seconds after a success for which payload and result are kept; NULL: no limit of its own."


def upgrade() -> None:
    for table in ("jobs", "job_history"):
        op.execute(f"ALTER TABLE callboard.{table} ADD COLUMN IF NOT EXISTS result_ttl double precision")
        op.execute(f"COMMENT ON COLUMN callboard.{table}.result_ttl IS '{COMMENT}'")
    # It commits, so all of this can be repeated. See 0006.
    with op.get_context().autocommit_block():
        op.execute(
            "-- squawk-ignore require-concurrent-index-creation\n"
            f"CREATE INDEX IF NOT EXISTS {INDEX} ON ONLY callboard.job_history {ENTRY}"
        )
        for partition in partitions_without_index():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS callboard.{partition}_result_ttl_idx")
            op.execute(
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {partition}_result_ttl_idx ON callboard.{partition} {ENTRY}"
            )
            op.execute(f"ALTER INDEX callboard.{INDEX} ATTACH PARTITION callboard.{partition}_result_ttl_idx")


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
