-- anything_due (db/dispatching/due.py)
--
-- Return whether a job in one of these queues could start now.
--
-- Called by: callboard/processes.

-- Case: for each queue.

-- Statement 1.
--   $1  of_queue  character varying
--   $2  status_1  character varying  'running'
--   $3  param_1   integer            1
SELECT callboard.jobs.id
FROM callboard.jobs
WHERE callboard.jobs.queue = $1::VARCHAR
    AND (callboard.jobs.due_at IS NULL OR callboard.jobs.due_at <= now())
    AND callboard.jobs.status != $2::VARCHAR
LIMIT $3::INTEGER;
