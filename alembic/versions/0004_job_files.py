"""Files that jobs put out, and how far bulk actions have come."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Beside files, not in it: a table that is new locks nobody out of the uploads.
    op.execute(
        """
        CREATE TABLE callboard.job_files (
            file_id         uuid        NOT NULL CONSTRAINT job_files_pkey PRIMARY KEY
                CONSTRAINT job_files_file_id_fkey REFERENCES callboard.files (id) ON DELETE CASCADE,
            job_id          uuid        NOT NULL,
            attempt         integer     NOT NULL,
            CONSTRAINT job_files_attempt_check CHECK (attempt > 0)
        )
        """
    )
    op.execute("CREATE INDEX job_files_job_idx ON callboard.job_files (job_id, file_id)")
    op.execute(
        """
        CREATE TABLE callboard.bulk_actions (
            job_id          uuid        NOT NULL CONSTRAINT bulk_actions_pkey PRIMARY KEY,
            total           bigint,
            before_id       uuid        NOT NULL,
            counts          jsonb       NOT NULL DEFAULT '{}'::jsonb
        )
        """
    )
