-- promote (db/transitions/starting.py)
--
-- Queue the jobs whose due_at has come; return how many.
--
-- From scheduled, retrying or blocked, by the dispatcher. Rows that another dispatcher is promoting are skipped.
--
-- From: scheduled, retrying or blocked, and due. To: queued.
--
-- Called by: actors/dispatch.

-- Statement 1.
--   $1  limit       integer
--   $2  status      character varying         'queued'
--   $3  revision_1  integer                   1
--   $4  due_at      timestamp with time zone  NULL
WITH due AS (
    SELECT callboard.jobs.id AS id
    FROM callboard.jobs
    WHERE callboard.jobs.due_at <= now()
    ORDER BY callboard.jobs.due_at
    LIMIT $1::INTEGER
    FOR UPDATE SKIP LOCKED
)

UPDATE callboard.jobs
SET
    status=$2::VARCHAR, revision=(callboard.jobs.revision + $3::INTEGER), due_at=$4::TIMESTAMP WITH TIME ZONE,
    queued_at=callboard.jobs.due_at
WHERE callboard.jobs.id = ANY (array((SELECT due.id FROM due)))
RETURNING callboard.jobs.id;
