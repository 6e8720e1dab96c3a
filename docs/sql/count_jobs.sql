-- count_jobs (db/reads/lists.py)
--
-- Return how many jobs list_jobs has on all its pages.
--
-- Counts up to most. Where no index covers the whole filter, it counts those among about so many of the newest.
--
-- Called by: api/jobs.
--
-- Some of it is also sent by: read_in_order, list_jobs, export_piece.

-- Case: of one owner.

-- As before: statement 1 of read_in_order.sql.

-- Statement 1.
--   $1  param_1        timestamp with time zone  'infinity'
--   $2  status_1       character varying         'running'
--   $3  waiting_for_1  text                      'attempt'
--   $4  attempt_1      integer                   1
--   $5  param_2        character varying         'attempt'
--   $6  param_3        text[]
--   $7  param_4        integer                   10001
--   $8  param_5        text[]
--   $9  param_6        integer                   10001
SELECT count(*) AS count_1
FROM (
    (
        SELECT
            callboard.jobs.id AS id, callboard.jobs.type AS type, callboard.jobs.status AS status,
            callboard.jobs.owner AS owner, callboard.jobs.attempt AS attempt, callboard.jobs.revision AS revision,
            callboard.jobs.created_at AS created_at, callboard.jobs.started_at AS started_at,
            callboard.jobs.cancel_requested_at AS cancel_requested_at, callboard.jobs.batch_id AS batch_id,
            callboard.jobs.worker AS worker, callboard.jobs.queue AS queue, callboard.jobs.priority AS priority,
            callboard.jobs.scheduled_at AS scheduled_at, callboard.jobs.expires_at AS expires_at,
            callboard.jobs.time_limit AS time_limit, callboard.jobs.max_retries AS max_retries,
            callboard.jobs.tags AS tags, callboard.jobs.result_ttl AS result_ttl, callboard.jobs.parent_id AS parent_id,
            CAST(callboard.jobs.progress AS TEXT) AS progress, CAST(callboard.jobs.error AS TEXT) AS error,
            nullif(callboard.jobs.due_at, $1::TIMESTAMP WITH TIME ZONE) AS due_at,
            CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS finished_at, CAST(NULL AS TEXT) AS result,
            CASE
                WHEN (
                    callboard.jobs.waiting_for IS NOT NULL
                    AND callboard.jobs.status != $2::VARCHAR
                    AND CAST((callboard.jobs.waiting_for ->> $3::TEXT) AS INTEGER) = callboard.jobs.attempt +
                        $4::INTEGER
                ) THEN CAST(callboard.jobs.waiting_for - CAST($5::VARCHAR AS TEXT) AS TEXT)
            END AS waiting_for
        FROM callboard.jobs
        WHERE callboard.jobs.owner = ANY ($6::TEXT[])
        ORDER BY callboard.jobs.owner DESC, callboard.jobs.id DESC
        LIMIT $7::INTEGER
    )
    UNION ALL (
        SELECT
            callboard.job_history.id AS id, callboard.job_history.type AS type, callboard.job_history.status AS status,
            callboard.job_history.owner AS owner, callboard.job_history.attempt AS attempt,
            callboard.job_history.revision AS revision, callboard.job_history.created_at AS created_at,
            callboard.job_history.started_at AS started_at,
            callboard.job_history.cancel_requested_at AS cancel_requested_at,
            callboard.job_history.batch_id AS batch_id, callboard.job_history.worker AS worker,
            callboard.job_history.queue AS queue, callboard.job_history.priority AS priority,
            callboard.job_history.scheduled_at AS scheduled_at, callboard.job_history.expires_at AS expires_at,
            callboard.job_history.time_limit AS time_limit, callboard.job_history.max_retries AS max_retries,
            callboard.job_history.tags AS tags, callboard.job_history.result_ttl AS result_ttl,
            callboard.job_history.parent_id AS parent_id, CAST(callboard.job_history.progress AS TEXT) AS progress,
            CAST(callboard.job_history.error AS TEXT) AS error, CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS due_at,
            callboard.job_history.finished_at AS finished_at, CAST(NULL AS TEXT) AS result,
            CAST(NULL AS TEXT) AS waiting_for
        FROM callboard.job_history
        WHERE callboard.job_history.owner = ANY ($8::TEXT[]) AND callboard.job_history.deleted IS false
        ORDER BY callboard.job_history.owner DESC, callboard.job_history.id DESC
        LIMIT $9::INTEGER
    )
) AS anon_1;
