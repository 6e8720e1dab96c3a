-- sweep (db/history/retention/sweep.py)
--
-- Check the next limit jobs after position and erase the contents of those that no rule keeps any longer.
--
-- The rows stay, as after a client's erasure, until their month goes. Jobs that were erased before are skipped. The
-- bytes of files are left to callboard remove-orphaned-files.
--
-- Returns:
--     The position for the next call; None when the pass is over.
--
-- Called by: actors/maintenance.
--
-- Some of it is also sent by: erase, recount_next.

-- Case: with a job that has to go.

-- Statement 1.
--   $1  type_1     character varying  '*'
--   $2  outcome_1  character varying  '*'
SELECT callboard.retention_rules.type, callboard.retention_rules.outcome, callboard.retention_rules.keep_days
FROM callboard.retention_rules
ORDER BY
    callboard.retention_rules.type != $1::VARCHAR, callboard.retention_rules.type,
    callboard.retention_rules.outcome != $2::VARCHAR, callboard.retention_rules.outcome;

-- Statement 2.
WITH RECURSIVE types AS (
    (SELECT type FROM callboard.job_history ORDER BY type LIMIT 1)
    UNION ALL
    SELECT (SELECT next.type FROM callboard.job_history AS next WHERE next.type > types.type ORDER BY next.type LIMIT 1)
    FROM types
    WHERE types.type IS NOT NULL
)

SELECT type
FROM types
WHERE type IS NOT NULL;

-- As before: statement 4 of recount_next.sql.

-- Statement 3.
--   $1  type_1        character varying         'test.job'
--   $2  id_1          uuid
--   $3  id_2          uuid
--   $4  created_at_1  timestamp with time zone
--   $5  created_at_2  timestamp with time zone
--   $6  param_1       integer                   1000
SELECT
    callboard.job_history.id, callboard.job_history.status, callboard.job_history.finished_at,
    callboard.job_history.deleted
FROM callboard.job_history
WHERE callboard.job_history.type = $1::VARCHAR
    AND callboard.job_history.id > $2::UUID
    AND callboard.job_history.id < $3::UUID
    AND callboard.job_history.created_at >= $4::TIMESTAMP WITH TIME ZONE
    AND callboard.job_history.created_at < $5::TIMESTAMP WITH TIME ZONE
ORDER BY callboard.job_history.id
LIMIT $6::INTEGER;

-- As before: statement 1 of erase.sql.

-- Statement 4.
--   $1  rowset  character varying
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID)
)

DELETE FROM callboard.files
WHERE callboard.files.id IN (
    SELECT callboard.job_files.file_id
    FROM callboard.job_files
    JOIN rowset ON callboard.job_files.job_id = rowset.id
)
RETURNING callboard.files.id;
