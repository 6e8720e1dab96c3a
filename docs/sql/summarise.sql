-- summarise (db/history/rollups/summary.py)
--
-- Return the numbers of the jobs that finished from since on and before until, period by period.
--
-- Returns:
--     By starts_at and value, periods and values without jobs left out: jobs, succeeded, failed,
--     cancelled, expired, attempts, waited, ran; in seconds wait_sum, wait_max,
--     run_sum, run_max, and wait_quantiles and run_quantiles, of QUANTILES, each
--     None where no job waited or ran. The value of TOTAL is empty.
--
-- Called by: api/history, api/system.

-- Case: by type, hour by hour.

-- Statement 1.
--   $1  grain_1      character varying         'hour'
--   $2  param_1      timestamp with time zone
--   $3  param_2      timestamp with time zone
--   $4  dimension_1  character varying         'type'
--   $5  groups       integer                   20
WITH periods AS (
    SELECT
        callboard.history_rollup.starts_at AS starts_at, callboard.history_rollup.value AS value,
        callboard.history_rollup.jobs AS jobs, callboard.history_rollup.succeeded AS succeeded,
        callboard.history_rollup.failed AS failed, callboard.history_rollup.cancelled AS cancelled,
        callboard.history_rollup.expired AS expired, callboard.history_rollup.attempts AS attempts,
        callboard.history_rollup.waited AS waited, callboard.history_rollup.ran AS ran,
        callboard.history_rollup.wait_sum AS wait_sum, callboard.history_rollup.run_sum AS run_sum,
        callboard.history_rollup.wait_max AS wait_max, callboard.history_rollup.run_max AS run_max,
        callboard.history_rollup.wait_quantiles AS wait_quantiles,
        callboard.history_rollup.run_quantiles AS run_quantiles
    FROM callboard.history_rollup
    WHERE callboard.history_rollup.grain = $1::VARCHAR
        AND callboard.history_rollup.starts_at >= $2::TIMESTAMP WITH TIME ZONE
        AND callboard.history_rollup.starts_at < $3::TIMESTAMP WITH TIME ZONE
        AND callboard.history_rollup.dimension = $4::VARCHAR
        AND callboard.history_rollup.owner IS NULL
)

SELECT
    periods.starts_at, periods.value, periods.jobs, periods.succeeded, periods.failed, periods.cancelled,
    periods.expired, periods.attempts, periods.waited, periods.ran,
    CAST(EXTRACT(epoch FROM periods.wait_sum) AS DOUBLE PRECISION) AS wait_sum,
    CAST(EXTRACT(epoch FROM periods.run_sum) AS DOUBLE PRECISION) AS run_sum,
    CAST(EXTRACT(epoch FROM periods.wait_max) AS DOUBLE PRECISION) AS wait_max,
    CAST(EXTRACT(epoch FROM periods.run_max) AS DOUBLE PRECISION) AS run_max, periods.wait_quantiles AS wait_quantiles,
    periods.run_quantiles AS run_quantiles
FROM periods
WHERE periods.value IN (
    SELECT periods.value
    FROM periods
    GROUP BY periods.value
    ORDER BY sum(periods.jobs) DESC, periods.value
    LIMIT $5::INTEGER
)
ORDER BY periods.starts_at, periods.value;

-- Case: by type, of one owner, in one period of some days.

-- Statement 2.
--   $1   param_3      timestamp with time zone
--   $2   grain_1      character varying         'hour'
--   $3   param_4      timestamp with time zone
--   $4   param_5      timestamp with time zone
--   $5   dimension_1  character varying         'type'
--   $6   owner_1      character varying         'owner'
--   $7   grain_2      character varying         'day'
--   $8   param_6      timestamp with time zone
--   $9   param_7      timestamp with time zone
--   $10  dimension_2  character varying         'type'
--   $11  owner_2      character varying         'owner'
--   $12  grain_3      character varying         'hour'
--   $13  param_8      timestamp with time zone
--   $14  param_9      timestamp with time zone
--   $15  dimension_3  character varying         'type'
--   $16  owner_3      character varying         'owner'
--   $17  param_1      double precision[]
--   $18  param_2      double precision[]
--   $19  groups       integer                   20
WITH periods AS (
    SELECT
        $1::TIMESTAMP WITH TIME ZONE AS starts_at, parts.value AS value, CAST(sum(parts.jobs) AS BIGINT) AS jobs,
        CAST(sum(parts.succeeded) AS BIGINT) AS succeeded, CAST(sum(parts.failed) AS BIGINT) AS failed,
        CAST(sum(parts.cancelled) AS BIGINT) AS cancelled, CAST(sum(parts.expired) AS BIGINT) AS expired,
        CAST(sum(parts.attempts) AS BIGINT) AS attempts, CAST(sum(parts.waited) AS BIGINT) AS waited,
        CAST(sum(parts.ran) AS BIGINT) AS ran, sum(parts.wait_sum) AS wait_sum, sum(parts.run_sum) AS run_sum,
        sum(parts.wait_histogram) AS wait_histogram, sum(parts.run_histogram) AS run_histogram,
        max(parts.wait_max) AS wait_max, max(parts.run_max) AS run_max
    FROM (
        SELECT
            callboard.history_rollup.starts_at AS starts_at, callboard.history_rollup.value AS value,
            callboard.history_rollup.jobs AS jobs, callboard.history_rollup.succeeded AS succeeded,
            callboard.history_rollup.failed AS failed, callboard.history_rollup.cancelled AS cancelled,
            callboard.history_rollup.expired AS expired, callboard.history_rollup.attempts AS attempts,
            callboard.history_rollup.waited AS waited, callboard.history_rollup.ran AS ran,
            callboard.history_rollup.wait_sum AS wait_sum, callboard.history_rollup.run_sum AS run_sum,
            callboard.history_rollup.wait_max AS wait_max, callboard.history_rollup.run_max AS run_max,
            callboard.history_rollup.wait_histogram AS wait_histogram,
            callboard.history_rollup.run_histogram AS run_histogram
        FROM callboard.history_rollup
        WHERE callboard.history_rollup.grain = $2::VARCHAR
            AND callboard.history_rollup.starts_at >= $3::TIMESTAMP WITH TIME ZONE
            AND callboard.history_rollup.starts_at < $4::TIMESTAMP WITH TIME ZONE
            AND callboard.history_rollup.dimension = $5::VARCHAR
            AND callboard.history_rollup.owner = $6::VARCHAR
        UNION ALL
        SELECT
            callboard.history_rollup.starts_at AS starts_at, callboard.history_rollup.value AS value,
            callboard.history_rollup.jobs AS jobs, callboard.history_rollup.succeeded AS succeeded,
            callboard.history_rollup.failed AS failed, callboard.history_rollup.cancelled AS cancelled,
            callboard.history_rollup.expired AS expired, callboard.history_rollup.attempts AS attempts,
            callboard.history_rollup.waited AS waited, callboard.history_rollup.ran AS ran,
            callboard.history_rollup.wait_sum AS wait_sum, callboard.history_rollup.run_sum AS run_sum,
            callboard.history_rollup.wait_max AS wait_max, callboard.history_rollup.run_max AS run_max,
            callboard.history_rollup.wait_histogram AS wait_histogram,
            callboard.history_rollup.run_histogram AS run_histogram
        FROM callboard.history_rollup
        WHERE callboard.history_rollup.grain = $7::VARCHAR
            AND callboard.history_rollup.starts_at >= $8::TIMESTAMP WITH TIME ZONE
            AND callboard.history_rollup.starts_at < $9::TIMESTAMP WITH TIME ZONE
            AND callboard.history_rollup.dimension = $10::VARCHAR
            AND callboard.history_rollup.owner = $11::VARCHAR
        UNION ALL
        SELECT
            callboard.history_rollup.starts_at AS starts_at, callboard.history_rollup.value AS value,
            callboard.history_rollup.jobs AS jobs, callboard.history_rollup.succeeded AS succeeded,
            callboard.history_rollup.failed AS failed, callboard.history_rollup.cancelled AS cancelled,
            callboard.history_rollup.expired AS expired, callboard.history_rollup.attempts AS attempts,
            callboard.history_rollup.waited AS waited, callboard.history_rollup.ran AS ran,
            callboard.history_rollup.wait_sum AS wait_sum, callboard.history_rollup.run_sum AS run_sum,
            callboard.history_rollup.wait_max AS wait_max, callboard.history_rollup.run_max AS run_max,
            callboard.history_rollup.wait_histogram AS wait_histogram,
            callboard.history_rollup.run_histogram AS run_histogram
        FROM callboard.history_rollup
        WHERE callboard.history_rollup.grain = $12::VARCHAR
            AND callboard.history_rollup.starts_at >= $13::TIMESTAMP WITH TIME ZONE
            AND callboard.history_rollup.starts_at < $14::TIMESTAMP WITH TIME ZONE
            AND callboard.history_rollup.dimension = $15::VARCHAR
            AND callboard.history_rollup.owner = $16::VARCHAR
    ) AS parts
    GROUP BY parts.value
)

SELECT
    periods.starts_at, periods.value, periods.jobs, periods.succeeded, periods.failed, periods.cancelled,
    periods.expired, periods.attempts, periods.waited, periods.ran,
    CAST(EXTRACT(epoch FROM periods.wait_sum) AS DOUBLE PRECISION) AS wait_sum,
    CAST(EXTRACT(epoch FROM periods.run_sum) AS DOUBLE PRECISION) AS run_sum,
    CAST(EXTRACT(epoch FROM periods.wait_max) AS DOUBLE PRECISION) AS wait_max,
    CAST(EXTRACT(epoch FROM periods.run_max) AS DOUBLE PRECISION) AS run_max,
    callboard.histogram_quantiles(periods.wait_histogram, $17::DOUBLE PRECISION[]) AS wait_quantiles,
    callboard.histogram_quantiles(periods.run_histogram, $18::DOUBLE PRECISION[]) AS run_quantiles
FROM periods
WHERE periods.value IN (
    SELECT periods.value
    FROM periods
    GROUP BY periods.value
    ORDER BY sum(periods.jobs) DESC, periods.value
    LIMIT $19::INTEGER
)
ORDER BY periods.starts_at, periods.value;
