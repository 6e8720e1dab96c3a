-- take_queues (db/dispatching/due.py)
--
-- Lock the queues that have jobs to dispatch. Paused queues, and those locked by another dispatcher, are left out.
--
-- One round trip. What other dispatchers have marked before they released a queue is counted. The transaction's commit
-- does not wait for the disk, as for mark_dispatched.
--
-- Called by: actors/dispatch.
--
-- Some of it is also sent by: mark_dispatched.

-- As before: statement 1 of mark_dispatched.sql.

-- Statement 1.
--   $1  window    integer
--   $2  param_1   integer            1
--   $3  concat_1  character varying  'queue '
WITH with_jobs AS MATERIALIZED (
    SELECT
        callboard.queues.name AS name, callboard.queues.dispatch_window AS dispatch_window,
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

SELECT with_jobs.name, coalesce(with_jobs.dispatch_window, $1::INTEGER) AS "window", with_jobs.per_second
FROM with_jobs
WHERE callboard.try_lock(concat($3::VARCHAR, with_jobs.name));

-- Statement 2.
--   $1  status_1  character varying  'running'
SELECT callboard.queues.name, callboard.queues.concurrency_limit - of_queue.running AS startable, of_queue.sent
FROM callboard.queues
JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE callboard.jobs.status = $1::VARCHAR) AS running,
        count(*) FILTER (WHERE callboard.jobs.status != $1::VARCHAR) AS sent
    FROM callboard.jobs
    WHERE callboard.jobs.queue = callboard.queues.name AND callboard.jobs.dispatched_at IS NOT NULL
) AS of_queue ON true
WHERE callboard.queues.concurrency_limit IS NOT NULL;

-- Statement 3.
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
