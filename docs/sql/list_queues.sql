-- list_queues (db/dispatching/queues.py)
--
-- Return all queues: their columns, and waiting, running (jobs), oldest_waiting_age (seconds
-- since the queued job that waits longest was due, or None), throughput (jobs that ended in the last minute).
--
-- Called by: api/system.

-- Statement 1.
--   $1   coalesce_1        integer            0
--   $2   coalesce_2        integer            0
--   $3   coalesce_3        integer            0
--   $4   status_1_1        character varying  'blocked'
--   $5   status_1_2        character varying  'queued'
--   $6   status_1_3        character varying  'retrying'
--   $7   status_1_4        character varying  'scheduled'
--   $8   status_2          character varying  'running'
--   $9   status_3          character varying  'queued'
--   $10  make_interval_1   integer            0
--   $11  make_interval_2   integer            0
--   $12  make_interval_3   integer            0
--   $13  make_interval_4   integer            0
--   $14  make_interval_5   integer            0
--   $15  make_interval_6   integer            1
--   $16  make_interval_7   integer            0
--   $17  make_interval_8   integer            0
--   $18  make_interval_9   integer            0
--   $19  make_interval_10  integer            32
SELECT
    callboard.queues.name, callboard.queues.paused, callboard.queues.dispatch_window,
    callboard.queues.concurrency_limit, callboard.queues.rate_limit, callboard.queues.rate_period,
    callboard.queues.created_at, callboard.queues.updated_at, coalesce(live.waiting, $1::INTEGER) AS waiting,
    coalesce(live.running, $2::INTEGER) AS running, live.oldest_waiting_age,
    coalesce(last_minute.finished, $3::INTEGER) AS throughput
FROM callboard.queues
LEFT OUTER JOIN (
    SELECT
        callboard.jobs.queue AS queue,
        count(*) FILTER (WHERE callboard.jobs.status IN ($4::VARCHAR, $5::VARCHAR, $6::VARCHAR, $7::VARCHAR)) AS waiting
            ,
        count(*) FILTER (WHERE callboard.jobs.status = $8::VARCHAR) AS running,
        EXTRACT(
            epoch
            FROM now() - (
                min(
                    coalesce(callboard.jobs.queued_at, greatest(callboard.jobs.created_at, callboard.jobs.scheduled_at))
                ) FILTER (WHERE callboard.jobs.status = $9::VARCHAR)
            )
        ) AS oldest_waiting_age
    FROM callboard.jobs
    GROUP BY callboard.jobs.queue
) AS live ON live.queue = callboard.queues.name
LEFT OUTER JOIN (
    SELECT callboard.job_history.queue AS queue, count(*) AS finished
    FROM callboard.job_history
    WHERE callboard.job_history.finished_at > now() - make_interval(
        $10::INTEGER, $11::INTEGER, $12::INTEGER, $13::INTEGER, $14::INTEGER, $15::INTEGER
    )
        AND callboard.job_history.created_at > now() - make_interval(
            $16::INTEGER, $17::INTEGER, $18::INTEGER, $19::INTEGER
        )
    GROUP BY callboard.job_history.queue
) AS last_minute ON last_minute.queue = callboard.queues.name
ORDER BY callboard.queues.name;
