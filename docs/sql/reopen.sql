-- reopen (db/transitions/reopening.py)
--
-- Queue a finished job again, under the same id; its attempts are numbered on.
--
-- From failed, cancelled or expired; to queued. Returns False when the job is in another state or unknown, or its
-- payload was erased.
--
-- From: failed, cancelled or expired, not erased. To: queued.
--
-- Called by: api/jobs.
--
-- reopen_all (db/transitions/reopening.py)
--
-- reopen each of these jobs; return those that this call has queued.
--
-- Called by: db.

-- Statement 1.
--   $1  rowset      character varying
--   $2  status_1    character varying         'succeeded'
--   $3  first       timestamp with time zone
--   $4  last        timestamp with time zone
--   $5  param_1     character varying         'queued'
--   $6  param_2     integer                   0
--   $7  revision_1  integer                   1
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.created_at AS created_at
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID, created_at TIMESTAMP WITH TIME ZONE)
),

held AS MATERIALIZED (
    SELECT found.id AS id, found.created_at AS created_at
    FROM rowset
    JOIN LATERAL (
        SELECT callboard.job_history.id AS id, callboard.job_history.created_at AS created_at
        FROM callboard.job_history
        WHERE callboard.job_history.id = rowset.id
            AND callboard.job_history.created_at = rowset.created_at
            AND callboard.job_history.status != $2::VARCHAR
            AND callboard.job_history.erased_at IS NULL
            AND callboard.job_history.deleted IS false
        FOR UPDATE
    ) AS found ON true
),

reopened AS (
    DELETE FROM callboard.job_history
    USING held
    WHERE callboard.job_history.id = held.id
        AND callboard.job_history.created_at = held.created_at
        AND callboard.job_history.created_at BETWEEN $3::TIMESTAMP WITH TIME ZONE
        AND $4::TIMESTAMP WITH TIME ZONE
    RETURNING
        callboard.job_history.id, callboard.job_history.created_at, callboard.job_history.type,
        callboard.job_history.status, callboard.job_history.owner, callboard.job_history.payload,
        callboard.job_history.queue, callboard.job_history.priority, callboard.job_history.scheduled_at,
        callboard.job_history.expires_at, callboard.job_history.time_limit, callboard.job_history.max_retries,
        callboard.job_history.tags, callboard.job_history.unique_key, callboard.job_history.result_ttl,
        callboard.job_history.parent_id, callboard.job_history.attempt, callboard.job_history.retries,
        callboard.job_history.revision, callboard.job_history.started_at, callboard.job_history.attempt_started_at,
        callboard.job_history.cancel_requested_at, callboard.job_history.worker_id, callboard.job_history.worker,
        callboard.job_history.progress, callboard.job_history.error, callboard.job_history.waiting_for,
        callboard.job_history.batch_id, callboard.job_history.fairness_key, callboard.job_history.concurrency_key,
        callboard.job_history.webhook_url, callboard.job_history.traceparent, callboard.job_history.finished_at,
        callboard.job_history.result, callboard.job_history.erased_at, callboard.job_history.deleted
),

uncounted AS (
    INSERT INTO callboard.history_rollup_pending (starts_at, ends_at)
    SELECT reopened.finished_at AS finished_at, reopened.finished_at AS ends_at
    FROM reopened
)

INSERT INTO callboard.jobs (
    id, created_at, type, status, owner, payload, queue, priority, scheduled_at, expires_at, time_limit, max_retries,
    tags, unique_key, result_ttl, parent_id, attempt, retries, revision, started_at, attempt_started_at,
    cancel_requested_at, worker_id, worker, progress, error, waiting_for, batch_id, fairness_key, concurrency_key,
    webhook_url, traceparent, queued_at, due_at, dispatched_at
)
SELECT
    reopened.id AS id, reopened.created_at AS created_at, reopened.type AS type, $5::VARCHAR AS status,
    reopened.owner AS owner, reopened.payload AS payload, reopened.queue AS queue, reopened.priority AS priority,
    NULL AS scheduled_at, NULL AS expires_at, reopened.time_limit AS time_limit, reopened.max_retries AS max_retries,
    reopened.tags AS tags, NULL AS unique_key, reopened.result_ttl AS result_ttl, reopened.parent_id AS parent_id,
    reopened.attempt AS attempt, $6::INTEGER AS retries, reopened.revision + $7::INTEGER AS revision,
    reopened.started_at AS started_at, NULL AS attempt_started_at, NULL AS cancel_requested_at, NULL AS worker_id,
    NULL AS worker, NULL AS progress, reopened.error AS error, NULL AS waiting_for, reopened.batch_id AS batch_id,
    reopened.fairness_key AS fairness_key, reopened.concurrency_key AS concurrency_key,
    reopened.webhook_url AS webhook_url, reopened.traceparent AS traceparent, now() AS queued_at, NULL AS due_at,
    NULL AS dispatched_at
FROM reopened
RETURNING callboard.jobs.id;
