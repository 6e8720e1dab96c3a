-- list_workers (db/fleet/workers.py)
--
-- Return the worker boots seen in the last seen_within seconds, each with the ids of its running jobs.
--
-- Called by: api/system.

-- Statement 1.
--   $1  status_1         character varying  'running'
--   $2  make_interval_1  integer            0
--   $3  make_interval_2  integer            0
--   $4  make_interval_3  integer            0
--   $5  make_interval_4  integer            0
--   $6  make_interval_5  integer            0
--   $7  make_interval_6  integer            0
--   $8  make_interval_7  double precision   86400.0
SELECT
    callboard.workers.id, callboard.workers.name, callboard.workers.host, callboard.workers.pid,
    callboard.workers.version, callboard.workers.queues, callboard.workers.types, callboard.workers.threads,
    callboard.workers.state, callboard.workers.started_at, callboard.workers.last_seen_at,
    coalesce(anon_1.jobs, ARRAY[]::UUID[]) AS jobs
FROM callboard.workers
LEFT OUTER JOIN (
    SELECT callboard.jobs.worker_id AS worker_id, array_agg(callboard.jobs.id) AS jobs
    FROM callboard.jobs
    WHERE callboard.jobs.dispatched_at IS NOT NULL AND callboard.jobs.status = $1::VARCHAR
    GROUP BY callboard.jobs.worker_id
) AS anon_1 ON anon_1.worker_id = callboard.workers.id
WHERE callboard.workers.last_seen_at > now() - make_interval(
    $2::INTEGER, $3::INTEGER, $4::INTEGER, $5::INTEGER, $6::INTEGER, $7::INTEGER, $8
)
ORDER BY callboard.workers.started_at DESC, callboard.workers.id;
