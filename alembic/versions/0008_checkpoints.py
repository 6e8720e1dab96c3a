"""What an attempt leaves for those after it: checkpoints, and steps that are done."""

from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None

COMMENTS = {
    "TABLE callboard.job_memos":
        "Checkpoints and steps of jobs that may run again: what an attempt leaves for those after it.",
    "COLUMN callboard.job_memos.job_id": "The job.",
    "COLUMN callboard.job_memos.created_at": "When the job was submitted.",
    "COLUMN callboard.job_memos.kind": "checkpoint, or step: a part of the work that is done for good.",
    "COLUMN callboard.job_memos.key": "Which step; empty for the checkpoint.",
    "COLUMN callboard.job_memos.attempt": "The attempt that stored it.",
    "COLUMN callboard.job_memos.data": "What the handler gave.",
    "COLUMN callboard.job_memos.saved_at": "When it was stored.",
}  # fmt: skip


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE callboard.job_memos (
            job_id          uuid        NOT NULL,
            created_at      timestamptz NOT NULL,
            kind            text        NOT NULL,
            key             text        NOT NULL,
            attempt         integer     NOT NULL,
            data            json        NOT NULL,
            saved_at        timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT job_memos_pkey PRIMARY KEY (job_id, kind, key),
            CONSTRAINT job_memos_kind_check CHECK (kind IN ('checkpoint', 'step')),
            CONSTRAINT job_memos_attempt_check CHECK (attempt > 0)
        )
        """
    )
    for thing, comment in COMMENTS.items():
        op.execute(f"COMMENT ON {thing} IS '{comment}'")
