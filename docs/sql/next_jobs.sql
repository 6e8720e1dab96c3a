-- next_jobs (db/dispatching/due.py)
--
-- Return up to capacities[queue] jobs of each queue, by priority (highest first), then by id (oldest first).
--
-- Columns: id, attempt (the one to start), type, queue, priority.
--
-- Called by: actors/dispatch.

-- Statement 1.
--   $1  rowset   character varying
--   $2  param_1  integer            1
WITH rowset AS MATERIALIZED (
    SELECT anon_1.queue AS queue, anon_1.capacity AS capacity
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(queue TEXT, capacity INTEGER)
)

SELECT first_of.id, first_of.attempt, first_of.type, first_of.queue, first_of.priority
FROM rowset
JOIN LATERAL (
    SELECT
        callboard.jobs.id AS id, callboard.jobs.attempt + $2::INTEGER AS attempt, callboard.jobs.type AS type,
        callboard.jobs.queue AS queue, callboard.jobs.priority AS priority
    FROM callboard.jobs
    WHERE callboard.jobs.queue = rowset.queue AND callboard.jobs.due_at IS NULL AND callboard.jobs.dispatched_at IS NULL
    ORDER BY callboard.jobs.priority DESC, callboard.jobs.id
    LIMIT rowset.capacity
) AS first_of ON true;
