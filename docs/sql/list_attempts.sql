-- list_attempts (db/reads/jobs.py)
--
-- Return the ended attempts of a job, oldest first: the columns of job_attempts.
--
-- Called by: api/jobs.

-- Statement 1.
--   $1  job_id      uuid
--   $2  created_at  timestamp with time zone
SELECT
    callboard.job_attempts.job_id, callboard.job_attempts.created_at, callboard.job_attempts.attempt,
    callboard.job_attempts.outcome, callboard.job_attempts.reason, callboard.job_attempts.worker_id,
    callboard.job_attempts.worker, callboard.job_attempts.started_at, callboard.job_attempts.finished_at,
    callboard.job_attempts.error_type, callboard.job_attempts.error_message, callboard.job_attempts.traceback
FROM callboard.job_attempts
WHERE callboard.job_attempts.job_id = $1::UUID AND callboard.job_attempts.created_at = $2::TIMESTAMP WITH TIME ZONE
ORDER BY callboard.job_attempts.attempt;
