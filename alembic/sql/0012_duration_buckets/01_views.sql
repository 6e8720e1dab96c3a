CREATE VIEW analytics.durations WITH (security_invoker = true) AS
SELECT hour, type, measure, up_to AS up_to_seconds, buckets.jobs
FROM analytics.hourly
CROSS JOIN LATERAL (VALUES ('wait', wait_histogram), ('run', run_histogram)) AS measured (measure, histogram)
CROSS JOIN LATERAL callboard.histogram_buckets(histogram) AS buckets;
COMMENT ON VIEW analytics.durations IS 'How many jobs waited and ran how long, by hour and type: a row for each bucket of the histogram that holds a job. Bound hour.';
COMMENT ON COLUMN analytics.durations.hour IS 'Beginning of the hour (UTC) in which they finished.';
COMMENT ON COLUMN analytics.durations.type IS 'Job type.';
COMMENT ON COLUMN analytics.durations.measure IS 'wait: from when they were due to their first start; run: their last attempt.';
COMMENT ON COLUMN analytics.durations.up_to_seconds IS 'Highest duration of the bucket; the lowest is 5 percent less. The first bucket, 0.001, begins at 0.';
COMMENT ON COLUMN analytics.durations.jobs IS 'Jobs in the bucket.';

-- Columns as in 0006. There greatest() took the missing start of a job that never started for a wait of 0.
CREATE OR REPLACE VIEW analytics.jobs WITH (security_invoker = true) AS
SELECT
    id, created_at, type, queue, status, priority, owner, tags, attempt AS attempts, retries, max_retries, time_limit,
    scheduled_at, expires_at, started_at, attempt_started_at, finished_at, worker, parent_id, batch_id, deleted,
    CASE WHEN started_at IS NOT NULL THEN
        greatest(0, extract(epoch FROM started_at - greatest(created_at, scheduled_at)))
    END::double precision AS wait_seconds,
    extract(epoch FROM finished_at - attempt_started_at)::double precision AS run_seconds
FROM callboard.job_history;
