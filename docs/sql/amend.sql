-- amend (db/transitions/amending.py)
--
-- Change a waiting job.
--
-- From blocked, scheduled, queued or retrying. By a new scheduled_at a scheduled or queued job, or one that waits
-- for a worker, becomes scheduled or queued, and the next attempt of a retrying job is moved. A job whose message is
-- in the broker is dispatched again, in its new place.
--
-- Returns:
--     False when the job is not waiting, or has another revision.
--
-- From: blocked, scheduled, queued or retrying. To: the same, or by its new time.
--
-- Called by: api/jobs.

-- Case: everything that can be.

-- Statement 1.
--   $1   status_1_1  character varying         'scheduled'
--   $2   status_1_2  character varying         'queued'
--   $3   status_1_3  character varying         'blocked'
--   $4   status_2    character varying         'blocked'
--   $5   param_1     timestamp with time zone  'infinity'
--   $6   param_2     timestamp with time zone
--   $7   coalesce_1  boolean                   false
--   $8   param_3     character varying         'scheduled'
--   $9   param_4     character varying         'queued'
--   $10  priority    smallint                  7
--   $11  expires_at  timestamp with time zone  NULL
--   $12  param_5     jsonb
--   $13  revision_1  integer                   1
--   $14  status_3    character varying         'retrying'
--   $15  status_4    character varying         'queued'
--   $16  id_1        uuid
--   $17  status_5    character varying         'running'
--   $18  revision_2  integer                   1
UPDATE callboard.jobs
SET
    status=CASE
        WHEN (
            callboard.jobs.status IN ($1::VARCHAR, $2::VARCHAR, $3::VARCHAR)
            AND NOT (callboard.jobs.status = $4::VARCHAR AND callboard.jobs.due_at = $5::TIMESTAMP WITH TIME ZONE)
            AND coalesce(CAST($6::TIMESTAMP WITH TIME ZONE AS TIMESTAMP WITH TIME ZONE) > now(), $7)
        ) THEN $8::VARCHAR
        WHEN (
            callboard.jobs.status IN ($1::VARCHAR, $2::VARCHAR, $3::VARCHAR)
            AND NOT (callboard.jobs.status = $4::VARCHAR AND callboard.jobs.due_at = $5::TIMESTAMP WITH TIME ZONE)
        ) THEN $9::VARCHAR
        ELSE callboard.jobs.status
    END,
    priority=$10::SMALLINT, scheduled_at=CAST($6::TIMESTAMP WITH TIME ZONE AS TIMESTAMP WITH TIME ZONE),
    expires_at=$11::TIMESTAMP WITH TIME ZONE, tags=CAST($12::JSONB AS JSONB),
    revision=(callboard.jobs.revision + $13::INTEGER),
    due_at=CASE
        WHEN (callboard.jobs.status = $4::VARCHAR AND callboard.jobs.due_at = $5::TIMESTAMP WITH TIME ZONE) THEN
            callboard.jobs.due_at
        WHEN (
            coalesce(CAST($6::TIMESTAMP WITH TIME ZONE AS TIMESTAMP WITH TIME ZONE) > now(), $7)
            OR callboard.jobs.status = $14::VARCHAR
        ) THEN coalesce(CAST($6::TIMESTAMP WITH TIME ZONE AS TIMESTAMP WITH TIME ZONE), now())
        ELSE NULL
    END,
    queued_at=CASE
        WHEN (
            callboard.jobs.status IN ($1::VARCHAR, $2::VARCHAR, $3::VARCHAR)
            AND NOT (callboard.jobs.status = $4::VARCHAR AND callboard.jobs.due_at = $5::TIMESTAMP WITH TIME ZONE)
            AND coalesce(CAST($6::TIMESTAMP WITH TIME ZONE AS TIMESTAMP WITH TIME ZONE) > now(), $7)
        ) THEN NULL
        WHEN (
            callboard.jobs.status IN ($1::VARCHAR, $2::VARCHAR, $3::VARCHAR)
            AND NOT (callboard.jobs.status = $4::VARCHAR AND callboard.jobs.due_at = $5::TIMESTAMP WITH TIME ZONE)
            AND callboard.jobs.status != $15::VARCHAR
        ) THEN now()
        ELSE callboard.jobs.queued_at
    END,
    dispatched_at=NULL
WHERE callboard.jobs.id = $16::UUID AND callboard.jobs.status != $17::VARCHAR AND callboard.jobs.revision = $18::INTEGER
RETURNING callboard.jobs.id;
