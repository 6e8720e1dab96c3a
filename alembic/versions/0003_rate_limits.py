"""Token buckets of those who submit jobs."""

from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Unlogged: the buckets change with every few submissions, and after a crash full ones are right.
    op.execute(
        """
        CREATE UNLOGGED TABLE callboard.rate_limits (
            name        text             NOT NULL CONSTRAINT rate_limits_pkey PRIMARY KEY,
            tokens      double precision NOT NULL,
            refilled_at timestamptz      NOT NULL
        ) WITH (fillfactor = 50)
        """
    )
