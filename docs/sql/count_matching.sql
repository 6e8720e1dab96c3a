-- count_matching (db/reads/jobs.py)
--
-- Return the number of jobs that matching_jobs would find, or None if there are more than most.
--
-- Called by: db.

-- Case: live.

-- Statement 1.
--   $1  id_1          uuid
--   $2  created_at_1  timestamp with time zone
--   $3  owner_1       character varying         'owner'
--   $4  param_1       integer                   10
SELECT count(*) AS count_1
FROM (
    SELECT callboard.jobs.id AS id
    FROM callboard.jobs
    WHERE callboard.jobs.id < $1::UUID
        AND callboard.jobs.created_at <= $2::TIMESTAMP WITH TIME ZONE
        AND callboard.jobs.owner = $3::VARCHAR
    LIMIT $4::INTEGER
) AS anon_1;

-- Case: done.

-- Statement 2.
--   $1  id_1          uuid
--   $2  created_at_1  timestamp with time zone
--   $3  owner_1       character varying         'owner'
--   $4  param_1       integer                   10
SELECT count(*) AS count_1
FROM (
    SELECT callboard.job_history.id AS id
    FROM callboard.job_history
    WHERE callboard.job_history.id < $1::UUID
        AND callboard.job_history.created_at <= $2::TIMESTAMP WITH TIME ZONE
        AND callboard.job_history.owner = $3::VARCHAR
        AND callboard.job_history.deleted IS false
    LIMIT $4::INTEGER
) AS anon_1;
