-- abandoned_attempts (db/fleet/workers.py)
--
-- Return running jobs whose worker is lost, stopped or unknown.
--
-- Columns: id, attempt, type, queue, owner, retries, max_retries, cancel_requested_at,
-- worker. Their rescue is fenced by the attempt's number, so a job that has moved on meanwhile is not changed.
--
-- Called by: actors/maintenance.

-- Statement 1.
--   $1  status_1   character varying  'running'
--   $2  state_1_1  character varying  'running'
--   $3  state_1_2  character varying  'draining'
--   $4  limit      integer
SELECT
    callboard.jobs.id, callboard.jobs.attempt, callboard.jobs.type, callboard.jobs.queue, callboard.jobs.owner,
    callboard.jobs.retries, callboard.jobs.max_retries, callboard.jobs.cancel_requested_at, callboard.jobs.worker
FROM callboard.jobs
LEFT OUTER JOIN callboard.workers ON callboard.workers.id = callboard.jobs.worker_id
WHERE callboard.jobs.dispatched_at IS NOT NULL
    AND callboard.jobs.status = $1::VARCHAR
    AND (callboard.workers.id IS NULL OR (callboard.workers.state NOT IN ($2::VARCHAR, $3::VARCHAR)))
ORDER BY callboard.jobs.id
LIMIT $4::INTEGER;
