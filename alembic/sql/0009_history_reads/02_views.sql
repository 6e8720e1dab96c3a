CREATE OR REPLACE VIEW analytics.hourly WITH (security_invoker = true) AS
SELECT
    starts_at AS hour, value AS type, jobs, succeeded, failed, cancelled, expired, attempts,
    waited, wait_sum, wait_max, wait_histogram, ran, run_sum, run_max, run_histogram, wait_quantiles, run_quantiles
FROM callboard.history_rollup
WHERE grain = 'hour' AND dimension = 'type' AND owner IS NULL
    AND (SELECT callboard.owner_of_analyst(current_user)) IS NULL
UNION ALL
SELECT
    starts_at, value, jobs, succeeded, failed, cancelled, expired, attempts,
    waited, wait_sum, wait_max, wait_histogram, ran, run_sum, run_max, run_histogram, wait_quantiles, run_quantiles
FROM callboard.history_rollup
WHERE grain = 'hour' AND dimension = 'type' AND owner = (SELECT callboard.owner_of_analyst(current_user));
COMMENT ON COLUMN analytics.hourly.wait_quantiles IS 'p50, p95 and p99 of the waits, in seconds.';
COMMENT ON COLUMN analytics.hourly.run_quantiles IS 'p50, p95 and p99 of the runs, in seconds.';

CREATE OR REPLACE VIEW analytics.latency WITH (security_invoker = true) AS
SELECT
    hour, type, jobs,
    wait_quantiles[1] AS wait_p50, wait_quantiles[2] AS wait_p95, wait_quantiles[3] AS wait_p99,
    extract(epoch FROM wait_max)::double precision AS wait_max,
    run_quantiles[1] AS run_p50, run_quantiles[2] AS run_p95, run_quantiles[3] AS run_p99,
    extract(epoch FROM run_max)::double precision AS run_max
FROM analytics.hourly;
