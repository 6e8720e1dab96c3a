-- amend (db/transitions/amending.py)
--
-- Change a waiting job.
--
-- From blocked, scheduled, queued or retrying. By a new scheduled_at a scheduled or queued job becomes scheduled
-- or queued, and the next attempt of a retrying job is moved. A job whose message is in the broker is dispatched
-- again, in its new place; its old message is then stale.
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
--   $3   param_1     timestamp with time zone
--   $4   coalesce_1  boolean                   false
--   $5   param_2     character varying         'scheduled'
--   $6   param_3     character varying         'queued'
--   $7   priority    smallint                  7
--   $8   expires_at  timestamp with time zone  NULL
--   $9   param_4     jsonb
--   $10  revision_1  integer                   1
--   $11  status_2    character varying         'blocked'
--   $12  status_3    character varying         'retrying'
--   $13  id_1        uuid
--   $14  status_4    character varying         'running'
--   $15  revision_2  integer                   1
UPDATE callboard.jobs
SET
    status=CASE
        WHEN (
            callboard.jobs.status IN ($1::VARCHAR, $2::VARCHAR)
            AND coalesce(CAST($3::TIMESTAMP WITH TIME ZONE AS TIMESTAMP WITH TIME ZONE) > now(), $4)
        ) THEN $5::VARCHAR
        WHEN (callboard.jobs.status IN ($1::VARCHAR, $2::VARCHAR)) THEN $6::VARCHAR
        ELSE callboard.jobs.status
    END,
    priority=$7::SMALLINT, scheduled_at=CAST($3::TIMESTAMP WITH TIME ZONE AS TIMESTAMP WITH TIME ZONE),
    expires_at=$8::TIMESTAMP WITH TIME ZONE, tags=CAST($9::JSONB AS JSONB),
    revision=(callboard.jobs.revision + $10::INTEGER),
    due_at=CASE
        WHEN (callboard.jobs.status = $11::VARCHAR) THEN callboard.jobs.due_at
        WHEN (
            coalesce(CAST($3::TIMESTAMP WITH TIME ZONE AS TIMESTAMP WITH TIME ZONE) > now(), $4)
            OR callboard.jobs.status = $12::VARCHAR
        ) THEN coalesce(CAST($3::TIMESTAMP WITH TIME ZONE AS TIMESTAMP WITH TIME ZONE), now())
        ELSE NULL
    END,
    dispatched_at=NULL
WHERE callboard.jobs.id = $13::UUID AND callboard.jobs.status != $14::VARCHAR AND callboard.jobs.revision = $15::INTEGER
RETURNING callboard.jobs.id;
