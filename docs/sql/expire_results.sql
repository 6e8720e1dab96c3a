-- expire_results (db/transitions/erasing.py)
--
-- consume up to limit jobs whose result_ttl has passed since they succeeded; return which.
--
-- From: succeeded, its result_ttl past. To: the same, without its contents.
--
-- Called by: actors/maintenance.

-- Statement 1.
--   $1  limit  integer
SELECT callboard.job_history.id
FROM callboard.job_history
WHERE callboard.job_history.result_ttl IS NOT NULL
    AND callboard.job_history.result IS NOT NULL
    AND (finished_at AT TIME ZONE 'UTC'::text) + result_ttl * '00:00:01'::interval <= now() AT TIME ZONE 'UTC'
ORDER BY (finished_at AT TIME ZONE 'UTC'::text) + result_ttl * '00:00:01'::interval
LIMIT $1::INTEGER;
