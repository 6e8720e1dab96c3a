-- read_pace (db/fleet/pace.py)
--
-- Return how fast jobs go now. Reads live jobs and rollups, and no history.
--
-- Called by: api/live.

-- Statement 1.
--   $1  grain_1          character varying  'day'
--   $2  make_interval_1  integer            0
--   $3  make_interval_2  integer            0
--   $4  make_interval_3  integer            0
--   $5  make_interval_4  integer            7
--   $6  ran_1            bigint             0
--   $7  dimension_1      character varying  'queue'
SELECT
    callboard.history_rollup.value,
    EXTRACT(epoch FROM sum(callboard.history_rollup.run_sum)) / CAST(sum(callboard.history_rollup.ran) AS NUMERIC)
        AS anon_1
FROM callboard.history_rollup
WHERE callboard.history_rollup.grain = $1::VARCHAR
    AND callboard.history_rollup.owner IS NULL
    AND callboard.history_rollup.starts_at >= now() - make_interval($2::INTEGER, $3::INTEGER, $4::INTEGER, $5::INTEGER)
    AND callboard.history_rollup.ran > $6::BIGINT
    AND callboard.history_rollup.dimension = $7::VARCHAR
GROUP BY callboard.history_rollup.value;

-- Statement 2.
--   $1  state_1  character varying  'running'
SELECT anon_1.queue, sum(anon_1.threads) AS sum_1
FROM (
    SELECT unnest(callboard.workers.queues) AS queue, callboard.workers.threads AS threads
    FROM callboard.workers
    WHERE callboard.workers.state = $1::VARCHAR
) AS anon_1
GROUP BY anon_1.queue;

-- Statement 3.
--   $1  status_1  character varying  'queued'
SELECT
    callboard.jobs.queue, callboard.jobs.priority, count(*) AS count_1, min(callboard.jobs.created_at) AS min_1,
    max(callboard.jobs.created_at) AS max_1
FROM callboard.jobs
WHERE callboard.jobs.status = $1::VARCHAR
GROUP BY callboard.jobs.queue, callboard.jobs.priority;

-- Statement 4.
SELECT callboard.queues.name, callboard.queues.paused, callboard.queues.concurrency_limit
FROM callboard.queues;

-- Statement 5.
--   $1  param_1                double precision[]
--   $2  histogram_quantiles_1  integer             1
--   $3  grain_1                character varying   'day'
--   $4  make_interval_1        integer             0
--   $5  make_interval_2        integer             0
--   $6  make_interval_3        integer             0
--   $7  make_interval_4        integer             7
--   $8  ran_1                  bigint              0
--   $9  dimension_1            character varying   'type'
SELECT
    callboard.history_rollup.value,
    (callboard.histogram_quantiles(sum(callboard.history_rollup.run_histogram), $1::DOUBLE PRECISION[]))[$2::INTEGER]
        AS anon_1
FROM callboard.history_rollup
WHERE callboard.history_rollup.grain = $3::VARCHAR
    AND callboard.history_rollup.owner IS NULL
    AND callboard.history_rollup.starts_at >= now() - make_interval($4::INTEGER, $5::INTEGER, $6::INTEGER, $7::INTEGER)
    AND callboard.history_rollup.ran > $8::BIGINT
    AND callboard.history_rollup.dimension = $9::VARCHAR
GROUP BY callboard.history_rollup.value;
