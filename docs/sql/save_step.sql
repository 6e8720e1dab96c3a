-- save_step (db/attempt/checkpoints.py)
--
-- Store the result of a step unless it has one already, and return the one that is stored.
--
-- Returns None, with nothing stored, when the attempt has ended or been fenced out.
--
-- Called by: actors/execution.

-- Statement 1.
--   $1  this_kind     character varying
--   $2  this_key      character varying
--   $3  this_attempt  integer
--   $4  new_data      character varying
--   $5  this_job      uuid
--   $6  status_1      character varying  'running'
INSERT INTO callboard.job_checkpoints (job_id, created_at, kind, key, attempt, data)
SELECT
    callboard.jobs.id, callboard.jobs.created_at, $1::VARCHAR AS anon_1, $2::VARCHAR AS anon_2, $3::INTEGER AS anon_3,
    CAST($4::VARCHAR AS JSON) AS anon_4
FROM callboard.jobs
WHERE callboard.jobs.id = $5::UUID AND callboard.jobs.attempt = $3::INTEGER AND callboard.jobs.status = $6::VARCHAR
FOR SHARE
ON CONFLICT (job_id, kind, key)
DO UPDATE SET attempt = callboard.job_checkpoints.attempt
RETURNING CAST(callboard.job_checkpoints.data AS TEXT) AS data;
