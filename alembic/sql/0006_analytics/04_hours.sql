-- From the rollups, which have the numbers of all owners together and those of each owner: whoever is bound to an owner
-- (callboard analysts add --owner) is shown the latter.
CREATE VIEW analytics.hourly WITH (security_invoker = true) AS
SELECT
    starts_at AS hour, value AS type, jobs, succeeded, failed, cancelled, expired, attempts,
    waited, wait_sum, wait_max, wait_histogram, ran, run_sum, run_max, run_histogram
FROM callboard.history_rollup
WHERE grain = 'hour' AND dimension = 'type' AND owner IS NULL
    AND (SELECT callboard.owner_of_analyst(current_user)) IS NULL
UNION ALL
SELECT
    starts_at, value, jobs, succeeded, failed, cancelled, expired, attempts,
    waited, wait_sum, wait_max, wait_histogram, ran, run_sum, run_max, run_histogram
FROM callboard.history_rollup
WHERE grain = 'hour' AND dimension = 'type' AND owner = (SELECT callboard.owner_of_analyst(current_user));
COMMENT ON VIEW analytics.hourly IS 'Finished jobs by hour and type, counted and measured; a row costs the same however many jobs it counts. sum() and max() merge rows, histograms too: callboard.histogram_quantiles(sum(run_histogram), ARRAY[0.95]) is a percentile of many hours, at most 2.5 percent off. Bound hour.';
COMMENT ON COLUMN analytics.hourly.hour IS 'Beginning of the hour (UTC) in which they finished.';
COMMENT ON COLUMN analytics.hourly.type IS 'Job type.';
COMMENT ON COLUMN analytics.hourly.jobs IS 'Jobs that finished, whatever came of them.';
COMMENT ON COLUMN analytics.hourly.succeeded IS 'Those that succeeded.';
COMMENT ON COLUMN analytics.hourly.failed IS 'Those that failed for good.';
COMMENT ON COLUMN analytics.hourly.cancelled IS 'Those that were cancelled.';
COMMENT ON COLUMN analytics.hourly.expired IS 'Those that were not started in time.';
COMMENT ON COLUMN analytics.hourly.attempts IS 'Attempts that all of them took.';
COMMENT ON COLUMN analytics.hourly.waited IS 'Jobs that started.';
COMMENT ON COLUMN analytics.hourly.wait_sum IS 'Time they waited from when they were due to their first start, together.';
COMMENT ON COLUMN analytics.hourly.wait_max IS 'The longest of these waits.';
COMMENT ON COLUMN analytics.hourly.wait_histogram IS 'For callboard.histogram_quantiles.';
COMMENT ON COLUMN analytics.hourly.ran IS 'Jobs that ended in an attempt.';
COMMENT ON COLUMN analytics.hourly.run_sum IS 'Time their last attempts ran, together.';
COMMENT ON COLUMN analytics.hourly.run_max IS 'The longest of these runs.';
COMMENT ON COLUMN analytics.hourly.run_histogram IS 'For callboard.histogram_quantiles.';

CREATE VIEW analytics.throughput WITH (security_invoker = true) AS
SELECT hour, type, jobs, succeeded, failed, cancelled, expired, jobs / 3600.0::double precision AS jobs_per_second
FROM analytics.hourly;
COMMENT ON VIEW analytics.throughput IS 'Jobs that finished, by hour and type. Bound hour.';
COMMENT ON COLUMN analytics.throughput.hour IS 'Beginning of the hour (UTC) in which they finished.';
COMMENT ON COLUMN analytics.throughput.type IS 'Job type.';
COMMENT ON COLUMN analytics.throughput.jobs IS 'Jobs that finished, whatever came of them.';
COMMENT ON COLUMN analytics.throughput.succeeded IS 'Those that succeeded.';
COMMENT ON COLUMN analytics.throughput.failed IS 'Those that failed for good.';
COMMENT ON COLUMN analytics.throughput.cancelled IS 'Those that were cancelled.';
COMMENT ON COLUMN analytics.throughput.expired IS 'Those that were not started in time.';
COMMENT ON COLUMN analytics.throughput.jobs_per_second IS 'Jobs a second, on average over the hour.';

CREATE VIEW analytics.success_rate WITH (security_invoker = true) AS
SELECT hour, type, succeeded, failed, succeeded / nullif(succeeded + failed, 0)::double precision AS success_rate
FROM analytics.hourly;
COMMENT ON VIEW analytics.success_rate IS 'Share of jobs that succeeded among those that succeeded or failed, by hour and type. Bound hour.';
COMMENT ON COLUMN analytics.success_rate.hour IS 'Beginning of the hour (UTC) in which they finished.';
COMMENT ON COLUMN analytics.success_rate.type IS 'Job type.';
COMMENT ON COLUMN analytics.success_rate.succeeded IS 'Jobs that succeeded.';
COMMENT ON COLUMN analytics.success_rate.failed IS 'Jobs that failed for good.';
COMMENT ON COLUMN analytics.success_rate.success_rate IS '0 to 1; NULL where none succeeded or failed.';

CREATE VIEW analytics.latency WITH (security_invoker = true) AS
SELECT
    hour, type, jobs,
    waits[1] AS wait_p50, waits[2] AS wait_p95, waits[3] AS wait_p99,
    extract(epoch FROM wait_max)::double precision AS wait_max,
    runs[1] AS run_p50, runs[2] AS run_p95, runs[3] AS run_p99,
    extract(epoch FROM run_max)::double precision AS run_max
FROM analytics.hourly
CROSS JOIN LATERAL callboard.histogram_quantiles(wait_histogram, ARRAY[0.5, 0.95, 0.99]) AS waits
CROSS JOIN LATERAL callboard.histogram_quantiles(run_histogram, ARRAY[0.5, 0.95, 0.99]) AS runs;
COMMENT ON VIEW analytics.latency IS 'How long jobs waited and ran, by hour and type, in seconds; percentiles are at most 2.5 percent off. Bound hour. Percentiles of a longer time: see analytics.hourly.';
COMMENT ON COLUMN analytics.latency.hour IS 'Beginning of the hour (UTC) in which they finished.';
COMMENT ON COLUMN analytics.latency.type IS 'Job type.';
COMMENT ON COLUMN analytics.latency.jobs IS 'Jobs that finished.';
COMMENT ON COLUMN analytics.latency.wait_p50 IS 'Half of the jobs waited no longer, from when they were due to their first start.';
COMMENT ON COLUMN analytics.latency.wait_p95 IS '95 percent of the jobs waited no longer.';
COMMENT ON COLUMN analytics.latency.wait_p99 IS '99 percent of the jobs waited no longer.';
COMMENT ON COLUMN analytics.latency.wait_max IS 'The longest wait.';
COMMENT ON COLUMN analytics.latency.run_p50 IS 'Half of the jobs ran no longer, in their last attempt.';
COMMENT ON COLUMN analytics.latency.run_p95 IS '95 percent of the jobs ran no longer.';
COMMENT ON COLUMN analytics.latency.run_p99 IS '99 percent of the jobs ran no longer.';
COMMENT ON COLUMN analytics.latency.run_max IS 'The longest run.';

CREATE VIEW analytics.week_over_week WITH (security_invoker = true) AS
SELECT
    type, this_week.jobs, week_before.jobs AS jobs_before, this_week.failed, week_before.failed AS failed_before,
    this_week.run_mean, week_before.run_mean AS run_mean_before,
    (this_week.jobs - week_before.jobs)::double precision / nullif(week_before.jobs, 0) AS change
FROM (
    SELECT
        type, sum(jobs)::bigint AS jobs, sum(failed)::bigint AS failed,
        (extract(epoch FROM sum(run_sum)) / nullif(sum(ran), 0))::double precision AS run_mean
    FROM analytics.hourly
    WHERE hour >= date_trunc('hour', now(), 'UTC') - interval '168 hours' AND hour < date_trunc('hour', now(), 'UTC')
    GROUP BY type
) AS this_week
FULL JOIN (
    SELECT
        type, sum(jobs)::bigint AS jobs, sum(failed)::bigint AS failed,
        (extract(epoch FROM sum(run_sum)) / nullif(sum(ran), 0))::double precision AS run_mean
    FROM analytics.hourly
    WHERE hour >= date_trunc('hour', now(), 'UTC') - interval '336 hours'
        AND hour < date_trunc('hour', now(), 'UTC') - interval '168 hours'
    GROUP BY type
) AS week_before USING (type);
COMMENT ON VIEW analytics.week_over_week IS 'The last 168 full hours against the 168 hours before, by type.';
COMMENT ON COLUMN analytics.week_over_week.type IS 'Job type.';
COMMENT ON COLUMN analytics.week_over_week.jobs IS 'Jobs that finished in the last week; NULL if there were none.';
COMMENT ON COLUMN analytics.week_over_week.jobs_before IS 'Jobs that finished in the week before; NULL if there were none.';
COMMENT ON COLUMN analytics.week_over_week.failed IS 'Those of the last week that failed for good.';
COMMENT ON COLUMN analytics.week_over_week.failed_before IS 'Those of the week before.';
COMMENT ON COLUMN analytics.week_over_week.run_mean IS 'Mean run of the last attempts, in seconds, in the last week.';
COMMENT ON COLUMN analytics.week_over_week.run_mean_before IS 'The same in the week before.';
COMMENT ON COLUMN analytics.week_over_week.change IS 'Growth of jobs: 0.1 is ten percent more than the week before.';

-- For each hour asked for, the attempts that ran in it: the block range index on their times finds them.
CREATE VIEW analytics.concurrency WITH (security_invoker = true) AS
SELECT hours.hour, ran.attempts, ran.busy_seconds, ran.busy_seconds / 3600 AS average_running
FROM analytics.hours
CROSS JOIN LATERAL (
    SELECT
        count(*) AS attempts,
        coalesce(sum(extract(
            epoch FROM least(finished_at, hours.next_hour) - greatest(started_at, hours.hour)
        )), 0)::double precision AS busy_seconds
    FROM callboard.job_attempts
    WHERE started_at < hours.next_hour AND finished_at >= hours.hour AND created_at < hours.next_hour
) AS ran;
COMMENT ON VIEW analytics.concurrency IS 'How much ran at a time, by hour, of attempts that have ended. Bound hour.';
COMMENT ON COLUMN analytics.concurrency.hour IS 'Beginning of the hour (UTC).';
COMMENT ON COLUMN analytics.concurrency.attempts IS 'Attempts that ran in some part of it.';
COMMENT ON COLUMN analytics.concurrency.busy_seconds IS 'Seconds that they ran within the hour, together.';
COMMENT ON COLUMN analytics.concurrency.average_running IS 'Attempts that ran at a time, on average over the hour.';

CREATE VIEW analytics.worker_utilisation WITH (security_invoker = true) AS
SELECT
    hours.hour, ran.worker, workers.threads, ran.attempts, ran.busy_seconds,
    ran.busy_seconds / (3600 * workers.threads) AS utilisation
FROM analytics.hours
CROSS JOIN LATERAL (
    SELECT
        worker_id, worker, count(*) AS attempts,
        sum(extract(
            epoch FROM least(finished_at, hours.next_hour) - greatest(started_at, hours.hour)
        ))::double precision AS busy_seconds
    FROM callboard.job_attempts
    WHERE started_at < hours.next_hour AND finished_at >= hours.hour AND created_at < hours.next_hour
    GROUP BY worker_id, worker
) AS ran
LEFT JOIN callboard.workers ON workers.id = ran.worker_id;
COMMENT ON VIEW analytics.worker_utilisation IS 'How busy each start of a worker process was, by hour, with attempts that have ended. Bound hour.';
COMMENT ON COLUMN analytics.worker_utilisation.hour IS 'Beginning of the hour (UTC).';
COMMENT ON COLUMN analytics.worker_utilisation.worker IS 'Name of the worker process.';
COMMENT ON COLUMN analytics.worker_utilisation.threads IS 'Jobs it runs at a time; NULL a week after it ended.';
COMMENT ON COLUMN analytics.worker_utilisation.attempts IS 'Attempts that ran in some part of the hour.';
COMMENT ON COLUMN analytics.worker_utilisation.busy_seconds IS 'Seconds that they ran within the hour, together.';
COMMENT ON COLUMN analytics.worker_utilisation.utilisation IS 'Share of its threads that was busy, 0 to 1, as if it had lived the whole hour; NULL where threads is.';
