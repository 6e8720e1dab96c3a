"""Rename ``job_memos`` to ``job_checkpoints``, and its constraints with it.

A rename breaks a version of Callboard that runs and uses the old name. No such version has been released.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# By a loop: from PostgreSQL 18 on, NOT NULL is a constraint with a name, too. The primary key's index follows its own.
CONSTRAINTS = """
DO $$
DECLARE
    old text;
BEGIN
    FOR old IN
        SELECT conname FROM pg_constraint
        WHERE conrelid = 'callboard.job_checkpoints'::regclass AND starts_with(conname, 'job_memos_')
    LOOP
        EXECUTE 'ALTER TABLE callboard.job_checkpoints RENAME CONSTRAINT ' || old || ' TO '
            || replace(old, 'job_memos_', 'job_checkpoints_');
    END LOOP;
END
$$
"""


def upgrade() -> None:
    op.execute("-- squawk-ignore renaming-table\nALTER TABLE callboard.job_memos RENAME TO job_checkpoints")
    op.execute(CONSTRAINTS)
