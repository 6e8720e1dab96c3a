-- expire (db/transitions/stopping.py)
--
-- End the jobs that were not started before expires_at; return id, type and queue of each.
--
-- From blocked, scheduled or queued, and never started; by maintenance; to expired. A job that has started once does
-- not expire, however long its retries wait.
--
-- From: never started, and past expires_at. To: expired.
--
-- Called by: actors/maintenance.

-- Statement 1.
--   $1   status_1    character varying  'running'
--   $2   limit       integer
--   $3   param_3     character varying  'reason'
--   $4   param_4     text               'expired'
--   $5   param_5     character varying  'type'
--   $6   param_6     character varying  'Expired'
--   $7   param_7     character varying  'message'
--   $8   param_8     character varying  'Not started before expires_at.'
--   $9   param_9     character varying  'attempt'
--   $10  revision_1  integer            1
--   $11  param_1     boolean            false
--   $12  param_2     character varying  'expired'
WITH overdue AS (
    SELECT callboard.jobs.id AS id
    FROM callboard.jobs
    WHERE callboard.jobs.expires_at <= now()
        AND callboard.jobs.status != $1::VARCHAR
        AND callboard.jobs.started_at IS NULL
    ORDER BY callboard.jobs.expires_at
    LIMIT $2::INTEGER
    FOR UPDATE SKIP LOCKED
),

gone AS (
    DELETE FROM callboard.jobs
    WHERE callboard.jobs.id = ANY (array((SELECT overdue.id FROM overdue)))
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
        gone.started_at AS started_at, gone.attempt_started_at AS attempt_started_at,
        gone.cancel_requested_at AS cancel_requested_at, gone.worker_id AS worker_id, gone.worker AS worker,
        gone.progress AS progress, gone.new_error AS error, gone.waiting_for AS waiting_for, gone.batch_id AS batch_id,
        gone.fairness_key AS fairness_key, gone.concurrency_key AS concurrency_key, gone.webhook_url AS webhook_url,
        gone.traceparent AS traceparent, now() AS finished_at, NULL AS result, NULL AS erased_at, $11 AS deleted,
        $12::VARCHAR AS status
    FROM gone
)

SELECT gone.id, gone.type, gone.queue
FROM gone;
