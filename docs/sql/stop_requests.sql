-- stop_requests (db/fleet/workers.py)
--
-- Return which of these running attempts are to stop: their cancel was requested, or they have been fenced out.
--
-- Called by: actors/execution.

-- Statement 1.
--   $1  rowset    character varying
--   $2  param_1   character varying  'lease_lost'
--   $3  param_2   character varying  'cancelled'
--   $4  status_1  character varying  'running'
--   $5  param_3   integer            1
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.attempt AS attempt
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID, attempt INTEGER)
)

SELECT rowset.id, rowset.attempt, CASE WHEN (found.id IS NULL) THEN $2::VARCHAR ELSE $3::VARCHAR END AS reason
FROM rowset
LEFT OUTER JOIN LATERAL (
    SELECT callboard.jobs.id AS id, callboard.jobs.cancel_requested_at AS cancel_requested_at
    FROM callboard.jobs
    WHERE callboard.jobs.id = rowset.id
        AND callboard.jobs.attempt = rowset.attempt
        AND callboard.jobs.status = $4::VARCHAR
    LIMIT $5::INTEGER
) AS found ON true
WHERE found.id IS NULL OR found.cancel_requested_at IS NOT NULL;
