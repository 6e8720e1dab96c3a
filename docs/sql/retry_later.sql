-- retry_later (db/transitions/finishing.py)
--
-- End failed attempts; the jobs wait for their backoff and then run again. One retry is spent.
--
-- From running, by the worker or by rescue; to retrying. Returns the attempts that it has ended, as finish. A
-- job with cancel_requested_at is left alone; record cancels it.
--
-- From: running, this attempt, no cancel requested. To: retrying.
--
-- Called by: db/transitions.
--
-- Some of it is also sent by: record.

-- Statement 1.
--   $1   rowset           character varying
--   $2   status_1         character varying         'running'
--   $3   retries_1        integer                   1
--   $4   revision_1       integer                   1
--   $5   param_1          timestamp with time zone  NULL
--   $6   param_2          uuid                      NULL
--   $7   make_interval_1  integer                   0
--   $8   make_interval_2  integer                   0
--   $9   make_interval_3  integer                   0
--   $10  make_interval_4  integer                   0
--   $11  make_interval_5  integer                   0
--   $12  make_interval_6  integer                   0
--   $13  param_3          timestamp with time zone  NULL
WITH rowset AS MATERIALIZED (
    SELECT
        anon_1.id AS id, anon_1.attempt AS attempt, anon_1.status AS status, anon_1.outcome AS outcome,
        anon_1.result AS result, anon_1.error AS error, anon_1.reason AS reason, anon_1.error_type AS error_type,
        anon_1.error_message AS error_message, anon_1.traceback AS traceback, anon_1.delay AS delay
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(
        id UUID, attempt INTEGER, status TEXT, outcome TEXT, result TEXT, error TEXT, reason TEXT, error_type TEXT,
        error_message TEXT, traceback TEXT, delay DOUBLE PRECISION
    )
),

ended AS (
    SELECT
        found.id AS id, found.created_at AS created_at, found.attempt AS attempt, found.worker_id AS worker_id,
        found.worker AS worker, found.attempt_started_at AS attempt_started_at, rowset.outcome AS outcome,
        rowset.reason AS reason, rowset.error_type AS error_type, rowset.error_message AS error_message,
        rowset.traceback AS traceback, rowset.status AS status, rowset.error AS error, rowset.delay AS delay
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
            AND callboard.jobs.status = $2::VARCHAR
            AND callboard.jobs.cancel_requested_at IS NULL
        FOR UPDATE
    ) AS found ON true
),

waiting AS (
    UPDATE callboard.jobs
    SET
        status=(SELECT ended.status FROM ended WHERE ended.id = callboard.jobs.id),
        retries=(callboard.jobs.retries + $3::INTEGER), revision=(callboard.jobs.revision + $4::INTEGER),
        attempt_started_at=$5::TIMESTAMP WITH TIME ZONE, worker_id=$6::UUID,
        error=(SELECT CAST(ended.error AS JSONB) AS error FROM ended WHERE ended.id = callboard.jobs.id),
        due_at=(
            now() + make_interval(
                $7::INTEGER, $8::INTEGER, $9::INTEGER, $10::INTEGER, $11::INTEGER, $12::INTEGER,
                (SELECT ended.delay FROM ended WHERE ended.id = callboard.jobs.id)
            )
        ),
        dispatched_at=$13::TIMESTAMP WITH TIME ZONE
    WHERE callboard.jobs.id = ANY (array((SELECT ended.id FROM ended)))
),

attempt_ended AS (
    INSERT INTO callboard.job_attempts (
        job_id, created_at, attempt, outcome, reason, worker_id, worker, started_at, finished_at, error_type,
        error_message, traceback
    )
    SELECT
        ended.id AS job_id, ended.created_at AS created_at, ended.attempt AS attempt, ended.outcome AS outcome,
        ended.reason AS reason, ended.worker_id AS worker_id, ended.worker AS worker,
        ended.attempt_started_at AS started_at, now() AS finished_at, ended.error_type AS error_type,
        ended.error_message AS error_message, ended.traceback AS traceback
    FROM ended
)

SELECT ended.id, ended.attempt
FROM ended;
