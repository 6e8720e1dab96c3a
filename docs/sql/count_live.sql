-- count_live (db/reads/jobs.py)
--
-- Return the number of live jobs (of owner, or all) by status, type and queue.
--
-- Called by: api/system.

-- Case: of one owner.

-- Statement 1.
--   $1  owner_1  character varying  'owner'
SELECT callboard.jobs.status, callboard.jobs.type, callboard.jobs.queue, count(*) AS jobs
FROM callboard.jobs
WHERE callboard.jobs.owner = $1::VARCHAR
GROUP BY callboard.jobs.status, callboard.jobs.type, callboard.jobs.queue;
