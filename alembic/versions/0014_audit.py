"""The audit log names the key that was used, and takes new entries only.

Versions of Callboard that run during the upgrade insert entries without a key, which stays possible.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Whoever owns the table can drop the triggers: they keep a mistake, or a hole in the service, from changing what has
# been recorded. Entries older than thirty days can be deleted by a transaction that says so, as retention does.
REFUSE = """
CREATE FUNCTION callboard.keep_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('callboard.audit_retention', true) = 'on' THEN
        IF OLD.at < now() - interval '30 days' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'callboard.audit_log takes new entries only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege',
            HINT = 'CALLBOARD_AUDIT_KEEP_DAYS has the service delete old entries.';
END
$$
"""


def upgrade() -> None:
    op.execute("ALTER TABLE callboard.audit_log ADD COLUMN key_id text")
    op.execute(REFUSE)
    op.execute(
        "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON callboard.audit_log "
        "FOR EACH ROW EXECUTE FUNCTION callboard.keep_audit_log()"
    )
    op.execute(
        "CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON callboard.audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION callboard.keep_audit_log()"
    )
