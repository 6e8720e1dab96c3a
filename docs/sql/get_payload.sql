-- get_payload (db/reads/jobs.py)
--
-- Return a job's payload as JSON, or None when it is unknown or was erased.
--
-- Called by: api/jobs.

-- Statement 1.
--   $1  rowset   character varying
--   $2  param_1  integer            1
--   $3  param_2  integer            1
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.created_at AS created_at
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID, created_at TIMESTAMP WITH TIME ZONE)
)

SELECT found.id, found.payload
FROM rowset
JOIN LATERAL (
    SELECT callboard.jobs.id AS id, CAST(callboard.jobs.payload AS TEXT) AS payload
    FROM callboard.jobs
    WHERE callboard.jobs.id = rowset.id
    LIMIT $2::INTEGER
) AS found ON true
UNION ALL
SELECT found.id, found.payload
FROM rowset
JOIN LATERAL (
    SELECT callboard.job_history.id AS id, CAST(callboard.job_history.payload AS TEXT) AS payload
    FROM callboard.job_history
    WHERE callboard.job_history.id = rowset.id
        AND callboard.job_history.created_at = rowset.created_at
        AND callboard.job_history.deleted IS false
    LIMIT $3::INTEGER
) AS found ON true;
