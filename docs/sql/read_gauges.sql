-- read_gauges (db/fleet/gauges.py)
--
-- Return the current gauges. Reads live jobs, and no history.
--
-- Called by: api/server.

-- Statement 1.
--   $1  status_1       character varying  'running'
--   $2  waiting_for_1  text               'attempt'
--   $3  attempt_1      integer            1
SELECT
    callboard.jobs.status, callboard.jobs.type, callboard.jobs.queue, count(*) AS jobs,
    count(*) FILTER (
        WHERE callboard.jobs.waiting_for IS NOT NULL
            AND callboard.jobs.status != $1::VARCHAR
            AND CAST((callboard.jobs.waiting_for ->> $2::TEXT) AS INTEGER) = callboard.jobs.attempt + $3::INTEGER
    ) AS waiting_for_worker,
    EXTRACT(
        epoch
        FROM now() - min(
            coalesce(callboard.jobs.queued_at, greatest(callboard.jobs.created_at, callboard.jobs.scheduled_at))
        )
    ) AS oldest_waiting_age
FROM callboard.jobs
GROUP BY callboard.jobs.status, callboard.jobs.type, callboard.jobs.queue;

-- Statement 2.
--   $1  param_1  integer  1
--   $2  param_2  integer  0
SELECT callboard.queues.name AS queue, CASE WHEN callboard.queues.paused THEN $1::INTEGER ELSE $2::INTEGER END AS paused
FROM callboard.queues;

-- Statement 3.
--   $1  make_interval_1  integer  0
--   $2  make_interval_2  integer  0
--   $3  make_interval_3  integer  0
--   $4  make_interval_4  integer  1
SELECT callboard.workers.state, count(*) AS workers
FROM callboard.workers
WHERE callboard.workers.last_seen_at > now() - make_interval($1::INTEGER, $2::INTEGER, $3::INTEGER, $4::INTEGER)
GROUP BY callboard.workers.state;
