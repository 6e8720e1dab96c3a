-- finish (db/transitions/finishing.py)
--
-- End attempts and with them their jobs: the row moves to job_history, the attempt to job_attempts.
--
-- From running, by the worker that ran the attempt or by rescue; to succeeded, failed or cancelled. Returns the
-- attempts that this call has ended; the others had been fenced out, and nothing has changed for them.
--
-- From: running, this attempt. To: succeeded, failed or cancelled.
--
-- Called by: db/transitions.
--
-- Some of it is also sent by: record, record_and_claim.

-- Statement 1.
--   $1  status_1    character varying  'succeeded'
--   $2  rowset      character varying
--   $3  status_2    character varying  'running'
--   $4  revision_1  integer            1
--   $5  param_1     boolean            false
WITH rowset AS MATERIALIZED (
    SELECT
        anon_1.id AS id, anon_1.attempt AS attempt, anon_1.status AS status, anon_1.outcome AS outcome,
        anon_1.result AS result, anon_1.error AS error, anon_1.reason AS reason, anon_1.error_type AS error_type,
        anon_1.error_message AS error_message, anon_1.traceback AS traceback, anon_1.delay AS delay
    FROM json_to_recordset(CAST($2::VARCHAR AS JSON)) AS anon_1(
        id UUID, attempt INTEGER, status TEXT, outcome TEXT, result TEXT, error TEXT, reason TEXT, error_type TEXT,
        error_message TEXT, traceback TEXT, delay DOUBLE PRECISION
    )
),

finished AS (
    SELECT
        found.id AS id, found.created_at AS created_at, found.type AS type, found.status AS status,
        found.owner AS owner, found.payload AS payload, found.queue AS queue, found.priority AS priority,
        found.scheduled_at AS scheduled_at, found.expires_at AS expires_at, found.time_limit AS time_limit,
        found.max_retries AS max_retries, found.tags AS tags, found.unique_key AS unique_key,
        found.result_ttl AS result_ttl, found.parent_id AS parent_id, found.attempt AS attempt,
        found.retries AS retries, found.revision AS revision, found.started_at AS started_at,
        found.attempt_started_at AS attempt_started_at, found.cancel_requested_at AS cancel_requested_at,
        found.worker_id AS worker_id, found.worker AS worker, found.error AS error, found.waiting_for AS waiting_for,
        found.batch_id AS batch_id, found.fairness_key AS fairness_key, found.concurrency_key AS concurrency_key,
        found.webhook_url AS webhook_url, found.traceparent AS traceparent, found.due_at AS due_at,
        found.queued_at AS queued_at, found.dispatched_at AS dispatched_at,
        CASE
            WHEN (rowset.status = $1::VARCHAR) THEN found.progress || jsonb_build_object('percent', 100.0)
            ELSE found.progress
        END AS progress,
        rowset.status AS new_status, rowset.result AS new_result, rowset.error AS new_error, rowset.outcome AS outcome,
        rowset.reason AS reason, rowset.error_type AS error_type, rowset.error_message AS error_message,
        rowset.traceback AS traceback
    FROM rowset
    JOIN LATERAL (
        SELECT
            callboard.jobs.id AS id, callboard.jobs.created_at AS created_at, callboard.jobs.type AS type,
            callboard.jobs.status AS status, callboard.jobs.owner AS owner, callboard.jobs.payload AS payload,
            callboard.jobs.queue AS queue, callboard.jobs.priority AS priority,
            callboard.jobs.scheduled_at AS scheduled_at, callboard.jobs.expires_at AS expires_at,
            callboard.jobs.time_limit AS time_limit, callboard.jobs.max_retries AS max_retries,
            callboard.jobs.tags AS tags, callboard.jobs.unique_key AS unique_key,
            callboard.jobs.result_ttl AS result_ttl, callboard.jobs.parent_id AS parent_id,
            callboard.jobs.attempt AS attempt, callboard.jobs.retries AS retries, callboard.jobs.revision AS revision,
            callboard.jobs.started_at AS started_at, callboard.jobs.attempt_started_at AS attempt_started_at,
            callboard.jobs.cancel_requested_at AS cancel_requested_at, callboard.jobs.worker_id AS worker_id,
            callboard.jobs.worker AS worker, callboard.jobs.progress AS progress, callboard.jobs.error AS error,
            callboard.jobs.waiting_for AS waiting_for, callboard.jobs.batch_id AS batch_id,
            callboard.jobs.fairness_key AS fairness_key, callboard.jobs.concurrency_key AS concurrency_key,
            callboard.jobs.webhook_url AS webhook_url, callboard.jobs.traceparent AS traceparent,
            callboard.jobs.due_at AS due_at, callboard.jobs.queued_at AS queued_at,
            callboard.jobs.dispatched_at AS dispatched_at
        FROM callboard.jobs
        WHERE callboard.jobs.id = rowset.id
            AND callboard.jobs.attempt = rowset.attempt
            AND callboard.jobs.status = $3::VARCHAR
        FOR UPDATE
    ) AS found ON true
),

deleted AS (
    DELETE FROM callboard.jobs
    WHERE callboard.jobs.id = ANY (array((SELECT finished.id FROM finished)))
),

kept AS (
    INSERT INTO callboard.job_history (
        id, created_at, type, owner, payload, queue, priority, scheduled_at, expires_at, time_limit, max_retries, tags,
        unique_key, result_ttl, parent_id, attempt, retries, revision, started_at, attempt_started_at,
        cancel_requested_at, worker_id, worker, progress, error, waiting_for, batch_id, fairness_key, concurrency_key,
        webhook_url, traceparent, finished_at, result, erased_at, deleted, status
    )
    SELECT
        finished.id AS id, finished.created_at AS created_at, finished.type AS type, finished.owner AS owner,
        finished.payload AS payload, finished.queue AS queue, finished.priority AS priority,
        finished.scheduled_at AS scheduled_at, finished.expires_at AS expires_at, finished.time_limit AS time_limit,
        finished.max_retries AS max_retries, finished.tags AS tags, finished.unique_key AS unique_key,
        finished.result_ttl AS result_ttl, finished.parent_id AS parent_id, finished.attempt AS attempt,
        finished.retries AS retries, finished.revision + $4::INTEGER AS revision, finished.started_at AS started_at,
        finished.attempt_started_at AS attempt_started_at, finished.cancel_requested_at AS cancel_requested_at,
        finished.worker_id AS worker_id, finished.worker AS worker, finished.progress AS progress,
        CAST(finished.new_error AS JSONB) AS error, finished.waiting_for AS waiting_for, finished.batch_id AS batch_id,
        finished.fairness_key AS fairness_key, finished.concurrency_key AS concurrency_key,
        finished.webhook_url AS webhook_url, finished.traceparent AS traceparent, now() AS finished_at,
        CAST(finished.new_result AS JSONB) AS result, NULL AS erased_at, $5 AS deleted, finished.new_status AS status
    FROM finished
),

attempt_ended AS (
    INSERT INTO callboard.job_attempts (
        job_id, created_at, attempt, outcome, reason, worker_id, worker, started_at, finished_at, error_type,
        error_message, traceback
    )
    SELECT
        finished.id AS job_id, finished.created_at AS created_at, finished.attempt AS attempt,
        finished.outcome AS outcome, finished.reason AS reason, finished.worker_id AS worker_id,
        finished.worker AS worker, finished.attempt_started_at AS started_at, now() AS finished_at,
        finished.error_type AS error_type, finished.error_message AS error_message, finished.traceback AS traceback
    FROM finished
)

SELECT finished.id, finished.attempt
FROM finished;
