-- recall (db/transitions/awaiting.py)
--
-- Queue the jobs that wait for a worker that knows one of these types; return how many.
--
-- From blocked, by a worker that has just registered and knows them. Rows that another worker recalls are skipped.
--
-- From: blocked, for a worker that knows its type. To: queued.
--
-- Called by: actors/worker_process.

-- Statement 1.
--   $1   types          text[]
--   $2   status_1       character varying  'blocked'
--   $3   status_2       character varying  'running'
--   $4   waiting_for_1  text               'attempt'
--   $5   attempt_1      integer            1
--   $6   limit          integer
--   $7   status         character varying  'queued'
--   $8   revision_1     integer            1
--   $9   param_1        character varying  'tries'
--   $10  param_2        integer            0
WITH found AS (
    SELECT callboard.jobs.id AS id
    FROM callboard.jobs
    WHERE callboard.jobs.waiting_for IS NOT NULL
        AND callboard.jobs.type = ANY ($1::TEXT[])
        AND callboard.jobs.status = $2::VARCHAR
        AND callboard.jobs.waiting_for IS NOT NULL
        AND callboard.jobs.status != $3::VARCHAR
        AND CAST((callboard.jobs.waiting_for ->> $4::TEXT) AS INTEGER) = callboard.jobs.attempt + $5::INTEGER
    ORDER BY callboard.jobs.id
    LIMIT $6::INTEGER
    FOR UPDATE SKIP LOCKED
)

UPDATE callboard.jobs
SET
    status=$7::VARCHAR, revision=(callboard.jobs.revision + $8::INTEGER),
    waiting_for=(
        callboard.jobs.waiting_for || jsonb_build_object(CAST($9::VARCHAR AS TEXT), CAST($10::INTEGER AS INTEGER))
    ),
    due_at=NULL, queued_at=now()
WHERE callboard.jobs.id = ANY (array((SELECT found.id FROM found)))
RETURNING callboard.jobs.id;
