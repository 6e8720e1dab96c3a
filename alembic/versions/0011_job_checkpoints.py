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
        SELECT conname FROM pg_constraint WHERE conrelid = 'callboard.{to}'::regclass AND starts_with(conname, '{of}_')
    LOOP
        EXECUTE 'ALTER TABLE callboard.{to} RENAME CONSTRAINT ' || old || ' TO ' || replace(old, '{of}_', '{to}_');
    END LOOP;
END
$$
"""


def upgrade() -> None:
    rename("job_memos", "job_checkpoints")


def downgrade() -> None:
    rename("job_checkpoints", "job_memos")


def rename(of: str, to: str) -> None:
    op.execute(f"-- squawk-ignore renaming-table\nALTER TABLE callboard.{of} RENAME TO {to}")
    op.execute(CONSTRAINTS.format(of=of, to=to))
