-- read_checkpoint (db/attempt/checkpoints.py)
--
-- Return the job's last checkpoint. None when the attempt has ended or been fenced out.
--
-- Called by: actors/execution.
--
-- read_step (db/attempt/checkpoints.py)
--
-- Return the result of a step, if it is done. None when the attempt has ended or been fenced out.
--
-- Called by: actors/execution.

-- Statement 1.
--   $1  this_kind     character varying
--   $2  this_key      character varying
--   $3  this_job      uuid
--   $4  this_attempt  integer
--   $5  status_1      character varying  'running'
SELECT CAST(callboard.job_checkpoints.data AS TEXT) AS data
FROM callboard.jobs
LEFT OUTER JOIN callboard.job_checkpoints ON callboard.job_checkpoints.job_id = callboard.jobs.id
    AND callboard.job_checkpoints.kind = $1::VARCHAR
    AND callboard.job_checkpoints.key = $2::VARCHAR
WHERE callboard.jobs.id = $3::UUID AND callboard.jobs.attempt = $4::INTEGER AND callboard.jobs.status = $5::VARCHAR;
