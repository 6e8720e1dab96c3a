-- seconds_until_due (db/dispatching/due.py)
--
-- Return the seconds until the next scheduled or retrying job is due: 0 or less for now, None when there is none.
--
-- Called by: actors/dispatch.

-- Statement 1.
--   $1  param_1  timestamp with time zone  'infinity'
SELECT EXTRACT(epoch FROM min(callboard.jobs.due_at) - now()) AS seconds
FROM callboard.jobs
WHERE callboard.jobs.due_at IS NOT NULL AND callboard.jobs.due_at < $1::TIMESTAMP WITH TIME ZONE;
