-- For each day asked for, the rows that finished in it: the block range index on finished_at finds them, and months
-- after it are left out, as a job is not created after it finished.
CREATE VIEW analytics.slowest_jobs WITH (security_invoker = true) AS
SELECT
    days.day, slow.rank, slow.id, slow.created_at, slow.type, slow.queue, slow.owner, slow.status, slow.run_seconds,
    slow.wait_seconds, slow.attempts, slow.worker
FROM analytics.days
CROSS JOIN LATERAL (
    SELECT row_number() OVER (ORDER BY run_seconds DESC, id) AS rank, *
    FROM analytics.jobs
    WHERE finished_at >= days.day AND finished_at < days.next_day AND created_at < days.next_day
        AND attempt_started_at IS NOT NULL
    ORDER BY run_seconds DESC, id
    LIMIT 100
) AS slow;
COMMENT ON VIEW analytics.slowest_jobs IS 'The hundred jobs of each day whose last attempt ran longest. Bound day.';
COMMENT ON COLUMN analytics.slowest_jobs.day IS 'Beginning of the day (UTC) in which they finished.';
COMMENT ON COLUMN analytics.slowest_jobs.rank IS '1 is the slowest of its day.';
COMMENT ON COLUMN analytics.slowest_jobs.id IS 'Id of the job.';
COMMENT ON COLUMN analytics.slowest_jobs.created_at IS 'When it was submitted.';
COMMENT ON COLUMN analytics.slowest_jobs.type IS 'Job type.';
COMMENT ON COLUMN analytics.slowest_jobs.queue IS 'Queue.';
COMMENT ON COLUMN analytics.slowest_jobs.owner IS 'Whose job it is.';
COMMENT ON COLUMN analytics.slowest_jobs.status IS 'succeeded, failed, cancelled or expired.';
COMMENT ON COLUMN analytics.slowest_jobs.run_seconds IS 'Seconds that its last attempt ran.';
COMMENT ON COLUMN analytics.slowest_jobs.wait_seconds IS 'Seconds that it waited for its first start.';
COMMENT ON COLUMN analytics.slowest_jobs.attempts IS 'How often it was started.';
COMMENT ON COLUMN analytics.slowest_jobs.worker IS 'Name of the worker process that ran it.';

-- The error is that of the attempt with which the job failed: the words of errors are not for analysts.
CREATE VIEW analytics.failures WITH (security_invoker = true) AS
SELECT days.day, bad.type, bad.reason, bad.error_type, bad.jobs, bad.first_seen, bad.last_seen, bad.example_id
FROM analytics.days
CROSS JOIN LATERAL (
    SELECT
        job.type, attempt.reason, attempt.error_type, count(*) AS jobs, min(job.finished_at) AS first_seen,
        max(job.finished_at) AS last_seen, (array_agg(job.id ORDER BY job.finished_at DESC))[1] AS example_id
    FROM callboard.job_history AS job
    LEFT JOIN LATERAL (
        SELECT ended.reason, ended.error_type
        FROM callboard.job_attempts AS ended
        WHERE ended.job_id = job.id AND ended.attempt = job.attempt AND ended.created_at = job.created_at
        LIMIT 1
    ) AS attempt ON true
    WHERE job.status = 'failed' AND job.finished_at >= days.day AND job.finished_at < days.next_day
        AND job.created_at < days.next_day
    GROUP BY job.type, attempt.reason, attempt.error_type
) AS bad;
COMMENT ON VIEW analytics.failures IS 'Jobs that failed for good, by day, type and error. Bound day; over several days, sum jobs and take the first of first_seen and the last of last_seen.';
COMMENT ON COLUMN analytics.failures.day IS 'Beginning of the day (UTC) in which they failed.';
COMMENT ON COLUMN analytics.failures.type IS 'Job type.';
COMMENT ON COLUMN analytics.failures.reason IS 'exception, time_limit, worker_lost, invalid_payload or unknown_type.';
COMMENT ON COLUMN analytics.failures.error_type IS 'Name of the exception that ended the last attempt.';
COMMENT ON COLUMN analytics.failures.jobs IS 'Jobs that failed like this.';
COMMENT ON COLUMN analytics.failures.first_seen IS 'When the first of the day failed.';
COMMENT ON COLUMN analytics.failures.last_seen IS 'When the last of the day failed.';
COMMENT ON COLUMN analytics.failures.example_id IS 'Id of that last one.';

CREATE VIEW analytics.retries WITH (security_invoker = true) AS
SELECT
    days.day, tried.type, tried.attempts, tried.failed_attempts, tried.jobs, tried.rescued, tried.wasted_seconds,
    tried.wasted_seconds / nullif(tried.run_seconds, 0) AS wasted_share
FROM analytics.days
CROSS JOIN LATERAL (
    SELECT
        type, sum(attempts)::bigint AS attempts, sum(retries)::bigint AS failed_attempts,
        count(*) FILTER (WHERE retries > 0) AS jobs,
        count(*) FILTER (WHERE retries > 0 AND status = 'succeeded') AS rescued,
        sum(wasted_seconds) AS wasted_seconds, sum(wasted_seconds + coalesce(run_seconds, 0)) AS run_seconds
    FROM (
        SELECT
            job.type, job.attempts, job.retries, job.status, job.run_seconds,
            CASE WHEN job.attempts > 1 OR job.retries > 0 THEN coalesce((
                SELECT sum(earlier.run_seconds)
                FROM analytics.attempts AS earlier
                WHERE earlier.job_id = job.id AND earlier.created_at = job.created_at
                    AND (earlier.attempt < job.attempts OR job.attempt_started_at IS NULL)
            ), 0) ELSE 0 END AS wasted_seconds
        FROM analytics.jobs AS job
        WHERE job.finished_at >= days.day AND job.finished_at < days.next_day AND job.created_at < days.next_day
    ) AS job
    GROUP BY type
) AS tried;
COMMENT ON VIEW analytics.retries IS 'Retries of the jobs that finished on a day, by type, and what they cost. Bound day.';
COMMENT ON COLUMN analytics.retries.day IS 'Beginning of the day (UTC) in which the jobs finished.';
COMMENT ON COLUMN analytics.retries.type IS 'Job type.';
COMMENT ON COLUMN analytics.retries.attempts IS 'Attempts of all of them, those that succeeded included.';
COMMENT ON COLUMN analytics.retries.failed_attempts IS 'Attempts after which a retry was spent.';
COMMENT ON COLUMN analytics.retries.jobs IS 'Jobs that were retried.';
COMMENT ON COLUMN analytics.retries.rescued IS 'Those of them that succeeded in the end.';
COMMENT ON COLUMN analytics.retries.wasted_seconds IS 'Seconds that attempts ran in vain before the last one of their job.';
COMMENT ON COLUMN analytics.retries.wasted_share IS 'Their share of all seconds that attempts ran, 0 to 1.';

CREATE VIEW analytics.owner_usage WITH (security_invoker = true) AS
SELECT days.day, used.owner, used.type, used.jobs, used.failed, used.attempts, used.compute_seconds
FROM analytics.days
CROSS JOIN LATERAL (
    SELECT
        owner, type, count(*) AS jobs, count(*) FILTER (WHERE status = 'failed') AS failed,
        sum(attempts)::bigint AS attempts, coalesce(sum(run_seconds), 0) + coalesce(sum((
            SELECT sum(earlier.run_seconds)
            FROM analytics.attempts AS earlier
            WHERE (job.attempts > 1 OR job.retries > 0) AND earlier.job_id = job.id
                AND earlier.created_at = job.created_at
                AND (earlier.attempt < job.attempts OR job.attempt_started_at IS NULL)
        )), 0) AS compute_seconds
    FROM analytics.jobs AS job
    WHERE finished_at >= days.day AND finished_at < days.next_day AND created_at < days.next_day
    GROUP BY owner, type
) AS used;
COMMENT ON VIEW analytics.owner_usage IS 'What each owner used, by day and type. Bound day.';
COMMENT ON COLUMN analytics.owner_usage.day IS 'Beginning of the day (UTC) in which the jobs finished.';
COMMENT ON COLUMN analytics.owner_usage.owner IS 'Whose jobs these are.';
COMMENT ON COLUMN analytics.owner_usage.type IS 'Job type.';
COMMENT ON COLUMN analytics.owner_usage.jobs IS 'Jobs that finished.';
COMMENT ON COLUMN analytics.owner_usage.failed IS 'Those of them that failed for good.';
COMMENT ON COLUMN analytics.owner_usage.attempts IS 'Attempts that they took.';
COMMENT ON COLUMN analytics.owner_usage.compute_seconds IS 'Seconds that all attempts of these jobs ran, together.';

CREATE VIEW analytics.sla_breaches WITH (security_invoker = true) AS
SELECT
    days.day, late.type, promised.longest_wait, late.jobs, late.breaches,
    late.breaches::double precision / late.jobs AS breach_rate, late.wait_max
FROM analytics.days
CROSS JOIN LATERAL (
    SELECT
        job.type, count(*) AS jobs,
        count(*) FILTER (WHERE wait_seconds > extract(epoch FROM coalesce(own.longest_wait, general.longest_wait)))
            AS breaches,
        max(wait_seconds) AS wait_max
    FROM analytics.jobs AS job
    LEFT JOIN analytics.sla AS own ON own.type = job.type
    LEFT JOIN analytics.sla AS general ON general.type = '*'
    WHERE finished_at >= days.day AND finished_at < days.next_day AND created_at < days.next_day
        AND coalesce(own.longest_wait, general.longest_wait) IS NOT NULL AND started_at IS NOT NULL
    GROUP BY job.type
) AS late
CROSS JOIN LATERAL (
    SELECT longest_wait FROM analytics.sla WHERE type IN (late.type, '*') ORDER BY type = '*' LIMIT 1
) AS promised;
COMMENT ON VIEW analytics.sla_breaches IS 'Jobs that waited longer than analytics.sla allows, by day and type; types without a row there are left out. Bound day.';
COMMENT ON COLUMN analytics.sla_breaches.day IS 'Beginning of the day (UTC) in which they finished.';
COMMENT ON COLUMN analytics.sla_breaches.type IS 'Job type.';
COMMENT ON COLUMN analytics.sla_breaches.longest_wait IS 'How long they may wait.';
COMMENT ON COLUMN analytics.sla_breaches.jobs IS 'Jobs that started.';
COMMENT ON COLUMN analytics.sla_breaches.breaches IS 'Those of them that waited longer.';
COMMENT ON COLUMN analytics.sla_breaches.breach_rate IS 'Their share, 0 to 1.';
COMMENT ON COLUMN analytics.sla_breaches.wait_max IS 'The longest wait, in seconds.';
