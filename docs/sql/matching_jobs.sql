-- matching_jobs (db/reads/jobs.py)
--
-- Return up to limit jobs of table, live or finished ones, newest first; those with ids below before.
--
-- Columns: id, type, and skip: a cancel was requested (live), or the contents were erased (finished).
--
-- Called by: db.

-- Case: live.

-- Statement 1.
--   $1  id_1          uuid
--   $2  created_at_1  timestamp with time zone
--   $3  owner_1       character varying         'owner'
--   $4  param_1       integer                   9
SELECT callboard.jobs.id, callboard.jobs.type, callboard.jobs.cancel_requested_at IS NOT NULL AS skip
FROM callboard.jobs
WHERE callboard.jobs.id < $1::UUID
    AND callboard.jobs.created_at <= $2::TIMESTAMP WITH TIME ZONE
    AND callboard.jobs.owner = $3::VARCHAR
ORDER BY callboard.jobs.id DESC
LIMIT $4::INTEGER;

-- Case: done.

-- Statement 2.
--   $1  id_1          uuid
--   $2  created_at_1  timestamp with time zone
--   $3  owner_1       character varying         'owner'
--   $4  param_1       integer                   9
SELECT callboard.job_history.id, callboard.job_history.type, callboard.job_history.erased_at IS NOT NULL AS skip
FROM callboard.job_history
WHERE callboard.job_history.id < $1::UUID
    AND callboard.job_history.created_at <= $2::TIMESTAMP WITH TIME ZONE
    AND callboard.job_history.owner = $3::VARCHAR
    AND callboard.job_history.deleted IS false
ORDER BY callboard.job_history.id DESC
LIMIT $4::INTEGER;
