-- promote (db/transitions/starting.py)
--
-- Queue the jobs whose due_at has come; return how many.
--
-- From scheduled or retrying, by the dispatcher. Rows that another dispatcher is promoting are skipped.
--
-- From: scheduled, retrying. To: queued.
--
-- Called by: actors/dispatch.

-- Statement 1.
--   $1  status      character varying         'queued'
--   $2  revision_1  integer                   1
--   $3  due_at      timestamp with time zone  NULL
--   $4  limit       integer
UPDATE callboard.jobs
SET status=$1::VARCHAR, revision=(callboard.jobs.revision + $2::INTEGER), due_at=$3::TIMESTAMP WITH TIME ZONE
WHERE callboard.jobs.id IN (
    SELECT callboard.jobs.id
    FROM callboard.jobs
    WHERE callboard.jobs.due_at <= now()
    ORDER BY callboard.jobs.due_at
    LIMIT $4::INTEGER
    FOR UPDATE SKIP LOCKED
)
RETURNING callboard.jobs.id;
