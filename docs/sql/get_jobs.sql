-- get_jobs (db/reads/jobs.py)
--
-- Return the views of these jobs, live or finished; ids that are unknown are left out.
--
-- Called by: api/database, api/jobs.

-- Statement 1.
--   $1  rowset         character varying
--   $2  param_1        timestamp with time zone  'infinity'
--   $3  status_1       character varying         'running'
--   $4  waiting_for_1  text                      'attempt'
--   $5  attempt_1      integer                   1
--   $6  param_2        character varying         'attempt'
--   $7  param_3        integer                   1
--   $8  param_4        integer                   1
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.created_at AS created_at
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID, created_at TIMESTAMP WITH TIME ZONE)
)

SELECT
    found.id, found.type, found.status, found.owner, found.attempt, found.revision, found.created_at, found.started_at,
    found.cancel_requested_at, found.batch_id, found.worker, found.queue, found.priority, found.scheduled_at,
    found.expires_at, found.time_limit, found.max_retries, found.tags, found.result_ttl, found.parent_id,
    found.progress, found.error, found.due_at, found.finished_at, found.result, found.waiting_for
FROM rowset
JOIN LATERAL (
    SELECT
        callboard.jobs.id AS id, callboard.jobs.type AS type, callboard.jobs.status AS status,
        callboard.jobs.owner AS owner, callboard.jobs.attempt AS attempt, callboard.jobs.revision AS revision,
        callboard.jobs.created_at AS created_at, callboard.jobs.started_at AS started_at,
        callboard.jobs.cancel_requested_at AS cancel_requested_at, callboard.jobs.batch_id AS batch_id,
        callboard.jobs.worker AS worker, callboard.jobs.queue AS queue, callboard.jobs.priority AS priority,
        callboard.jobs.scheduled_at AS scheduled_at, callboard.jobs.expires_at AS expires_at,
        callboard.jobs.time_limit AS time_limit, callboard.jobs.max_retries AS max_retries, callboard.jobs.tags AS tags,
        callboard.jobs.result_ttl AS result_ttl, callboard.jobs.parent_id AS parent_id,
        CAST(callboard.jobs.progress AS TEXT) AS progress, CAST(callboard.jobs.error AS TEXT) AS error,
        nullif(callboard.jobs.due_at, $2::TIMESTAMP WITH TIME ZONE) AS due_at,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS finished_at, CAST(NULL AS TEXT) AS result,
        CASE
            WHEN (
                callboard.jobs.waiting_for IS NOT NULL
                AND callboard.jobs.status != $3::VARCHAR
                AND CAST((callboard.jobs.waiting_for ->> $4::TEXT) AS INTEGER) = callboard.jobs.attempt + $5::INTEGER
            ) THEN CAST(callboard.jobs.waiting_for - CAST($6::VARCHAR AS TEXT) AS TEXT)
        END AS waiting_for
    FROM callboard.jobs
    WHERE callboard.jobs.id = rowset.id
    LIMIT $7::INTEGER
) AS found ON true
UNION ALL
SELECT
    found.id, found.type, found.status, found.owner, found.attempt, found.revision, found.created_at, found.started_at,
    found.cancel_requested_at, found.batch_id, found.worker, found.queue, found.priority, found.scheduled_at,
    found.expires_at, found.time_limit, found.max_retries, found.tags, found.result_ttl, found.parent_id,
    found.progress, found.error, found.due_at, found.finished_at, found.result, found.waiting_for
FROM rowset
JOIN LATERAL (
    SELECT
        callboard.job_history.id AS id, callboard.job_history.type AS type, callboard.job_history.status AS status,
        callboard.job_history.owner AS owner, callboard.job_history.attempt AS attempt,
        callboard.job_history.revision AS revision, callboard.job_history.created_at AS created_at,
        callboard.job_history.started_at AS started_at,
        callboard.job_history.cancel_requested_at AS cancel_requested_at, callboard.job_history.batch_id AS batch_id,
        callboard.job_history.worker AS worker, callboard.job_history.queue AS queue,
        callboard.job_history.priority AS priority, callboard.job_history.scheduled_at AS scheduled_at,
        callboard.job_history.expires_at AS expires_at, callboard.job_history.time_limit AS time_limit,
        callboard.job_history.max_retries AS max_retries, callboard.job_history.tags AS tags,
        callboard.job_history.result_ttl AS result_ttl, callboard.job_history.parent_id AS parent_id,
        CAST(callboard.job_history.progress AS TEXT) AS progress, CAST(callboard.job_history.error AS TEXT) AS error,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS due_at, callboard.job_history.finished_at AS finished_at,
        CAST(callboard.job_history.result AS TEXT) AS result, CAST(NULL AS TEXT) AS waiting_for
    FROM callboard.job_history
    WHERE callboard.job_history.id = rowset.id
        AND callboard.job_history.created_at = rowset.created_at
        AND callboard.job_history.deleted IS false
    LIMIT $8::INTEGER
) AS found ON true;
