-- take_queues (db/dispatching/due.py)
--
-- Lock the queues that have jobs to dispatch. Paused queues, and those locked by another dispatcher, are left out.
--
-- Called by: actors/dispatch.

-- Statement 1.
--   $1  window      integer
--   $2  param_1     integer            1
--   $3  hashtext_1  character varying  'callboard.dispatch'
WITH with_jobs AS MATERIALIZED (
    SELECT
        callboard.queues.name AS name, callboard.queues.dispatch_window AS dispatch_window,
        callboard.queues.concurrency_limit AS concurrency_limit,
        callboard.queues.rate_limit / CAST(callboard.queues.rate_period AS DOUBLE PRECISION) AS per_second
    FROM callboard.queues
    JOIN LATERAL (
        SELECT callboard.jobs.id AS id
        FROM callboard.jobs
        WHERE callboard.jobs.queue = callboard.queues.name
            AND callboard.jobs.due_at IS NULL
            AND callboard.jobs.dispatched_at IS NULL
        LIMIT $2::INTEGER
    ) AS first ON true
    WHERE callboard.queues.paused IS false
)

SELECT
    with_jobs.name, coalesce(with_jobs.dispatch_window, $1::INTEGER) AS "window",
    CASE
        WHEN (with_jobs.concurrency_limit IS NOT NULL) THEN with_jobs.concurrency_limit - (
            SELECT count(*) AS count_1
            FROM callboard.jobs
            WHERE callboard.jobs.queue = with_jobs.name AND callboard.jobs.dispatched_at IS NOT NULL
        )
    END AS startable,
    with_jobs.per_second
FROM with_jobs
WHERE pg_try_advisory_xact_lock(hashtext($3::VARCHAR), hashtext(with_jobs.name));

-- Statement 2.
--   $1  param_1  integer  1
--   $2  at_most  integer
SELECT first_of.id, first_of.attempt, first_of.type, first_of.queue, first_of.priority
FROM callboard.queues
JOIN LATERAL (
    SELECT
        callboard.jobs.id AS id, callboard.jobs.attempt + $1::INTEGER AS attempt, callboard.jobs.type AS type,
        callboard.jobs.queue AS queue, callboard.jobs.priority AS priority
    FROM callboard.jobs
    WHERE callboard.jobs.queue = callboard.queues.name
        AND callboard.jobs.due_at IS NULL
        AND callboard.jobs.dispatched_at IS NULL
    ORDER BY callboard.jobs.priority DESC, callboard.jobs.id
    LIMIT $2::INTEGER
) AS first_of ON true
WHERE callboard.queues.paused IS false;
