-- cancel (db/transitions/stopping.py)
--
-- Cancel a waiting job at once, or request that the worker of a running one stops it.
--
-- From blocked, scheduled, queued or retrying to cancelled. Running stays running, with cancel_requested_at set,
-- until its attempt ends; no other attempt follows. A second request changes nothing. Returns False when the job is
-- finished or unknown.
--
-- From: running. To: running, with the cancel requested.
--
-- Called by: api/jobs.
--
-- cancel_all (db/transitions/stopping.py)
--
-- cancel each of these jobs; return those that were live.
--
-- Called by: db.

-- Case: of jobs that wait.

-- Statement 1.
--   $1  rowset  character varying
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID)
)

SELECT found.id, found.status
FROM rowset
JOIN LATERAL (
    SELECT callboard.jobs.id AS id, callboard.jobs.status AS status
    FROM callboard.jobs
    WHERE callboard.jobs.id = rowset.id
    FOR UPDATE
) AS found ON true;

-- Statement 2.
--   $1   rowset      character varying
--   $2   status_1    character varying  'running'
--   $3   param_3     character varying  'reason'
--   $4   param_4     text               'cancelled'
--   $5   param_5     character varying  'type'
--   $6   param_6     character varying  'Cancelled'
--   $7   param_7     character varying  'message'
--   $8   param_8     character varying  'Cancelled before it ran.'
--   $9   param_9     character varying  'attempt'
--   $10  revision_1  integer            1
--   $11  param_1     boolean            false
--   $12  param_2     character varying  'cancelled'
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID)
),

gone AS (
    DELETE FROM callboard.jobs
    WHERE callboard.jobs.id = ANY (array((SELECT rowset.id FROM rowset))) AND callboard.jobs.status != $2::VARCHAR
    RETURNING
        callboard.jobs.id, callboard.jobs.created_at, callboard.jobs.type, callboard.jobs.status, callboard.jobs.owner,
        callboard.jobs.payload, callboard.jobs.queue, callboard.jobs.priority, callboard.jobs.scheduled_at,
        callboard.jobs.expires_at, callboard.jobs.time_limit, callboard.jobs.max_retries, callboard.jobs.tags,
        callboard.jobs.unique_key, callboard.jobs.result_ttl, callboard.jobs.parent_id, callboard.jobs.attempt,
        callboard.jobs.retries, callboard.jobs.revision, callboard.jobs.started_at, callboard.jobs.attempt_started_at,
        callboard.jobs.cancel_requested_at, callboard.jobs.worker_id, callboard.jobs.worker, callboard.jobs.progress,
        callboard.jobs.error, callboard.jobs.waiting_for, callboard.jobs.batch_id, callboard.jobs.fairness_key,
        callboard.jobs.concurrency_key, callboard.jobs.webhook_url, callboard.jobs.traceparent, callboard.jobs.due_at,
        callboard.jobs.queued_at, callboard.jobs.dispatched_at,
        CAST(
            jsonb_build_object(
                $3::VARCHAR, CAST($4 AS TEXT), $5::VARCHAR, CAST($6::VARCHAR AS TEXT), $7::VARCHAR,
                CAST($8::VARCHAR AS TEXT), $9::VARCHAR, callboard.jobs.attempt
            ) AS JSONB
        ) AS new_error
),

kept AS (
    INSERT INTO callboard.job_history (
        id, created_at, type, owner, payload, queue, priority, scheduled_at, expires_at, time_limit, max_retries, tags,
        unique_key, result_ttl, parent_id, attempt, retries, revision, started_at, attempt_started_at,
        cancel_requested_at, worker_id, worker, progress, error, waiting_for, batch_id, fairness_key, concurrency_key,
        webhook_url, traceparent, finished_at, result, erased_at, deleted, status
    )
    SELECT
        gone.id AS id, gone.created_at AS created_at, gone.type AS type, gone.owner AS owner, gone.payload AS payload,
        gone.queue AS queue, gone.priority AS priority, gone.scheduled_at AS scheduled_at,
        gone.expires_at AS expires_at, gone.time_limit AS time_limit, gone.max_retries AS max_retries,
        gone.tags AS tags, gone.unique_key AS unique_key, gone.result_ttl AS result_ttl, gone.parent_id AS parent_id,
        gone.attempt AS attempt, gone.retries AS retries, gone.revision + $10::INTEGER AS revision,
        gone.started_at AS started_at, gone.attempt_started_at AS attempt_started_at, now() AS cancel_requested_at,
        gone.worker_id AS worker_id, gone.worker AS worker, gone.progress AS progress, gone.new_error AS error,
        gone.waiting_for AS waiting_for, gone.batch_id AS batch_id, gone.fairness_key AS fairness_key,
        gone.concurrency_key AS concurrency_key, gone.webhook_url AS webhook_url, gone.traceparent AS traceparent,
        now() AS finished_at, NULL AS result, NULL AS erased_at, $11 AS deleted, $12::VARCHAR AS status
    FROM gone
)

SELECT gone.id
FROM gone;

-- Case: of jobs that run.

-- As before: statement 1.

-- Statement 3.
--   $1  rowset    character varying
--   $2  param_1   integer            1
--   $3  param_2   integer            0
--   $4  status_1  character varying  'running'
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID)
)

UPDATE callboard.jobs
SET
    revision=(
        callboard.jobs.revision + CASE
            WHEN (callboard.jobs.cancel_requested_at IS NULL) THEN $2::INTEGER
            ELSE $3::INTEGER
        END
    ),
    cancel_requested_at=coalesce(callboard.jobs.cancel_requested_at, now())
WHERE callboard.jobs.id = ANY (array((SELECT rowset.id FROM rowset))) AND callboard.jobs.status = $4::VARCHAR;
