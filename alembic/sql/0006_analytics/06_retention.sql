CREATE TABLE callboard.retention_rules (
    type        text        NOT NULL,
    outcome     text        NOT NULL,
    keep_days   integer,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT retention_rules_pkey PRIMARY KEY (type, outcome),
    CONSTRAINT retention_rules_outcome_check CHECK (outcome IN ('*', 'cancelled', 'expired', 'failed', 'succeeded')),
    CONSTRAINT retention_rules_keep_days_check CHECK (keep_days >= 1)
);
COMMENT ON TABLE callboard.retention_rules IS 'How long history is kept: the closest rule counts, without any it stays.';
COMMENT ON COLUMN callboard.retention_rules.type IS 'Job type; * stands for all.';
COMMENT ON COLUMN callboard.retention_rules.outcome IS 'succeeded, failed, cancelled or expired; * stands for all.';
COMMENT ON COLUMN callboard.retention_rules.keep_days IS 'Days from finished_at; NULL: for ever.';
COMMENT ON COLUMN callboard.retention_rules.updated_at IS 'When the rule was set.';
