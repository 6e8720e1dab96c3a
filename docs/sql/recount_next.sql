-- recount_next (db/history/rollups/following.py)
--
-- Recount the latest hour with a pending period; return False when nothing is pending.
--
-- Cheap for the present hour: only its pending minutes are counted. The hour's numbers change in the transaction that
-- removes its pending periods; those of the day change with the earliest of its pending hours.
--
-- Called by: actors/maintenance, db/history/rollups.
--
-- Some of it is also sent by: follow, freeze, sweep.

-- Case: of the present hour.

-- As before: statement 1 of follow.sql.

-- Statement 1.
SET LOCAL statement_timeout = '10min';

-- Statement 2.
--   $1  param_1  integer  1
SELECT callboard.history_rollup_pending.starts_at
FROM callboard.history_rollup_pending
ORDER BY callboard.history_rollup_pending.starts_at DESC
LIMIT $1::INTEGER;

-- Statement 3.
--   $1  starts_at_1  timestamp with time zone
--   $2  starts_at_2  timestamp with time zone
DELETE FROM callboard.history_rollup_pending
WHERE callboard.history_rollup_pending.starts_at >= $1::TIMESTAMP WITH TIME ZONE
    AND callboard.history_rollup_pending.starts_at < $2::TIMESTAMP WITH TIME ZONE
RETURNING callboard.history_rollup_pending.starts_at, callboard.history_rollup_pending.ends_at;

-- Statement 4.
SELECT now() AS now_1;

-- Statement 5.
--   $1  grain          character varying
--   $2  dimension_1_1  character varying         'owner'
--   $3  dimension_1_2  character varying         'queue'
--   $4  dimension_1_3  character varying         'status'
--   $5  dimension_1_4  character varying         'total'
--   $6  dimension_1_5  character varying         'type'
--   $7  since          timestamp with time zone
--   $8  until          timestamp with time zone
DELETE FROM callboard.history_rollup
WHERE callboard.history_rollup.grain = $1::VARCHAR
    AND callboard.history_rollup.dimension IN ($2::VARCHAR, $3::VARCHAR, $4::VARCHAR, $5::VARCHAR, $6::VARCHAR)
    AND callboard.history_rollup.starts_at >= $7::TIMESTAMP WITH TIME ZONE
    AND callboard.history_rollup.starts_at < $8::TIMESTAMP WITH TIME ZONE;

-- Statement 6.
--   $1  grain          text
--   $2  since          timestamp with time zone
--   $3  until          timestamp with time zone
--   $4  owners_groups  boolean
INSERT INTO callboard.history_rollup (
    grain, dimension, owner, starts_at, value, jobs, succeeded, failed, cancelled, expired, attempts, waited, wait_sum,
    wait_max, wait_histogram, ran, run_sum, run_max, run_histogram
)
WITH measured AS (
    SELECT
        date_trunc(CAST($1 AS text), finished_at, 'UTC') AS starts_at, owner, type, queue, status, attempt,
        CASE
            WHEN started_at IS NOT NULL THEN greatest(started_at - greatest(created_at, scheduled_at), interval '0')
        END AS wait,
        CASE
            WHEN attempt_started_at IS NOT NULL THEN greatest(finished_at - attempt_started_at, interval '0')
        END AS run
    FROM callboard.job_history
    WHERE finished_at >= $2::TIMESTAMP WITH TIME ZONE AND finished_at < $3::TIMESTAMP WITH TIME ZONE
),

counted AS (
    SELECT
        starts_at, owner, type, queue, status, count(*) AS jobs, sum(attempt) AS attempts, count(wait) AS waited,
        sum(wait) AS wait_sum, max(wait) AS wait_max, sum(callboard.histogram_of(wait)) AS wait_histogram,
        count(run) AS ran, sum(run) AS run_sum, max(run) AS run_max, sum(callboard.histogram_of(run)) AS run_histogram
    FROM measured
    GROUP BY starts_at, owner, type, queue, status
),

grouped AS (
    SELECT
        CASE
            WHEN GROUPING(type) = 0 THEN 'type'
            WHEN GROUPING(queue) = 0 THEN 'queue'
            WHEN GROUPING(status) = 0 THEN 'status'
            WHEN GROUPING(owner) = 0 THEN 'owner'
            ELSE 'total'
        END AS dimension,
        owner, starts_at, coalesce(type, queue, status, owner, '') AS value, sum(jobs) AS jobs,
        coalesce(sum(jobs) FILTER (WHERE status = 'succeeded'), 0) AS succeeded,
        coalesce(sum(jobs) FILTER (WHERE status = 'failed'), 0) AS failed,
        coalesce(sum(jobs) FILTER (WHERE status = 'cancelled'), 0) AS cancelled,
        coalesce(sum(jobs) FILTER (WHERE status = 'expired'), 0) AS expired, sum(attempts) AS attempts,
        sum(waited) AS waited, sum(wait_sum) AS wait_sum, max(wait_max) AS wait_max,
        sum(wait_histogram) AS wait_histogram, sum(ran) AS ran, sum(run_sum) AS run_sum, max(run_max) AS run_max,
        sum(run_histogram) AS run_histogram
    FROM counted
    GROUP BY
        starts_at,
        GROUPING SETS ((), (type), (queue), (status), (owner), (owner, type), (owner, queue), (owner, status))
)

SELECT CAST($1 AS text), grouped.*
FROM grouped
WHERE owner IS NULL OR dimension = 'owner' OR CAST($4 AS boolean);

-- As before: statement 5.

-- Statement 7.
--   $1  grain  text
--   $2  since  timestamp with time zone
--   $3  finer  text
--   $4  until  timestamp with time zone
INSERT INTO callboard.history_rollup (
    grain, dimension, owner, starts_at, value, jobs, succeeded, failed, cancelled, expired, attempts, waited, wait_sum,
    wait_max, wait_histogram, ran, run_sum, run_max, run_histogram
)
SELECT
    CAST($1 AS text), dimension, owner, $2::TIMESTAMP WITH TIME ZONE, value, sum(jobs), sum(succeeded), sum(failed),
    sum(cancelled), sum(expired), sum(attempts), sum(waited), sum(wait_sum), max(wait_max), sum(wait_histogram),
    sum(ran), sum(run_sum), max(run_max), sum(run_histogram)
FROM callboard.history_rollup
WHERE grain = CAST($3 AS text)
    AND starts_at >= $2::TIMESTAMP WITH TIME ZONE
    AND starts_at < $4::TIMESTAMP WITH TIME ZONE
GROUP BY dimension, owner, value;

-- Statement 8.
--   $1  starts_at_1  timestamp with time zone
--   $2  starts_at_2  timestamp with time zone
SELECT EXISTS (
    SELECT
        callboard.history_rollup_pending.id, callboard.history_rollup_pending.starts_at,
        callboard.history_rollup_pending.ends_at
    FROM callboard.history_rollup_pending
    WHERE callboard.history_rollup_pending.starts_at >= $1::TIMESTAMP WITH TIME ZONE
        AND callboard.history_rollup_pending.starts_at < $2::TIMESTAMP WITH TIME ZONE
) AS anon_1;

-- As before: statement 5.

-- As before: statement 7.

-- Case: of an hour of the past.

-- As before: statement 1 of follow.sql.

-- As before: statement 1.

-- As before: statement 2.

-- As before: statement 3.

-- As before: statement 4.

-- As before: statement 5.

-- As before: statement 6.

-- As before: statement 8.

-- As before: statement 5.

-- As before: statement 7.
