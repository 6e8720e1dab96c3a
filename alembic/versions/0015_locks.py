"""Locks that only those can take who may write to the tables: rows, and numbers that nobody else can tell."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# "callboard migrate" makes it before the first migration, as it takes a lock of its own.
LOCKS = """
CREATE TABLE IF NOT EXISTS callboard.locks (
    name text NOT NULL CONSTRAINT locks_pkey PRIMARY KEY,
    seed bigint NOT NULL DEFAULT hashtextextended(gen_random_uuid()::text, 0)
)
"""

# Whoever asks for a name first makes its row. Another one at that very moment does not wait for the end of the first's
# transaction, in which much may happen.
TRY_LOCK = """
CREATE FUNCTION callboard.try_lock(wanted text) RETURNS boolean
LANGUAGE plpgsql
SET lock_timeout = '50ms'
AS $$
BEGIN
    PERFORM FROM callboard.locks WHERE name = wanted FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        RETURN true;
    END IF;
    PERFORM FROM callboard.locks WHERE name = wanted;
    IF FOUND THEN
        RETURN false;
    END IF;
    BEGIN
        INSERT INTO callboard.locks (name) VALUES (wanted) ON CONFLICT (name) DO NOTHING;
        RETURN FOUND;
    EXCEPTION WHEN lock_not_available THEN
        RETURN false;
    END;
END
$$
"""

COMMENTS = {
    "TABLE callboard.locks": "Rows that transactions lock, so that one process at a time does a thing.",
    "COLUMN callboard.locks.name": "What is locked.",
    "COLUMN callboard.locks.seed": "Makes the numbers of advisory locks that nobody can tell who may not read it.",
    "FUNCTION callboard.try_lock": "Whether this transaction gets that lock, which it then holds to its end.",
}


def upgrade() -> None:
    op.execute(LOCKS)
    op.execute(TRY_LOCK)
    op.execute("INSERT INTO callboard.locks (name) VALUES ('idempotency keys') ON CONFLICT DO NOTHING")
    for thing, comment in COMMENTS.items():
        op.execute(f"COMMENT ON {thing} IS '{comment}'")
