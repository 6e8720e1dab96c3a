-- A job that an older release has made or queued has no queued_at.
CREATE OR REPLACE VIEW analytics.oldest_waiting WITH (security_invoker = true) AS
SELECT
    queue, type, count(*) AS jobs,
    min(coalesce(queued_at, greatest(created_at, scheduled_at))) AS waiting_since,
    extract(epoch FROM now() - min(coalesce(queued_at, greatest(created_at, scheduled_at))))::double precision
        AS wait_seconds,
    (array_agg(id ORDER BY coalesce(queued_at, greatest(created_at, scheduled_at)), id))[1] AS job_id
FROM callboard.jobs
WHERE status = 'queued' AND due_at IS NULL
GROUP BY queue, type;
