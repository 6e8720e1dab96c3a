-- get_states (db/reads/jobs.py)
--
-- Return the states of these jobs, live or finished; ids that are unknown are left out.
--
-- Called by: api.

-- Statement 1.
--   $1  rowset   character varying
--   $2  param_1  integer            1
--   $3  param_2  integer            1
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.created_at AS created_at
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID, created_at TIMESTAMP WITH TIME ZONE)
)

SELECT found.id, found.status, found.revision
FROM rowset
JOIN LATERAL (
    SELECT callboard.jobs.id AS id, callboard.jobs.status AS status, callboard.jobs.revision AS revision
    FROM callboard.jobs
    WHERE callboard.jobs.id = rowset.id
    LIMIT $2::INTEGER
) AS found ON true
UNION ALL
SELECT found.id, found.status, found.revision
FROM rowset
JOIN LATERAL (
    SELECT
        callboard.job_history.id AS id, callboard.job_history.status AS status,
        callboard.job_history.revision AS revision
    FROM callboard.job_history
    WHERE callboard.job_history.id = rowset.id
        AND callboard.job_history.created_at = rowset.created_at
        AND callboard.job_history.deleted IS false
    LIMIT $3::INTEGER
) AS found ON true;
