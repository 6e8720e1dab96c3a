CREATE TABLE callboard.analysts (
    name   text NOT NULL CONSTRAINT analysts_pkey PRIMARY KEY,
    owner  text NOT NULL
);
COMMENT ON TABLE callboard.analysts IS 'Database roles of analysts who see one owner''s jobs only.';
COMMENT ON COLUMN callboard.analysts.name IS 'Name of the database role.';
COMMENT ON COLUMN callboard.analysts.owner IS 'Whose jobs it sees.';

-- Tells a session about itself and the roles it may become, and nobody about others.
CREATE FUNCTION callboard.owner_of_analyst(analyst name) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'SELECT owner FROM callboard.analysts WHERE name = analyst AND pg_has_role(session_user, analyst, ''MEMBER'')';
COMMENT ON FUNCTION callboard.owner_of_analyst IS 'Whose jobs that role sees; NULL where no row of callboard.analysts says so.';

-- The owner of the tables, which the service is, passes by all policies. Whoever else was granted something keeps it:
-- the policy for all lets everything through, and the restrictive one (db/analysts.py) narrows analysts of one owner.
CREATE POLICY everything ON callboard.jobs USING (true) WITH CHECK (true);
CREATE POLICY everything ON callboard.job_history USING (true) WITH CHECK (true);
CREATE POLICY everything ON callboard.job_attempts USING (true) WITH CHECK (true);
CREATE POLICY everything ON callboard.history_rollup USING (true) WITH CHECK (true);
ALTER TABLE callboard.jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE callboard.job_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE callboard.job_attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE callboard.history_rollup ENABLE ROW LEVEL SECURITY;
