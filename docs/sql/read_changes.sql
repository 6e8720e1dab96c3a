-- read_changes (db/reads/change_feed.py)
--
-- Return the jobs whose rows were written by transactions that since does not see, as they are now.
--
-- A row may have been written without a visible change (its message was confirmed). Jobs that have been erased since
-- are not among them. Reads all of jobs, and the part of job_history that has finished since.
--
-- Called by: api/live.

-- Statement 1.
--   $1   since            character varying
--   $2   param_4          bigint                    4294967295
--   $3   after            uuid
--   $4   owner            character varying
--   $5   since_at         timestamp with time zone
--   $6   make_interval_1  integer                   0
--   $7   make_interval_2  integer                   0
--   $8   make_interval_3  integer                   0
--   $9   make_interval_4  integer                   0
--   $10  make_interval_5  integer                   0
--   $11  make_interval_6  integer                   0
--   $12  late             double precision
--   $13  param_5          bigint                    4294967295
--   $14  limit            integer
--   $15  param_1          timestamp with time zone  'infinity'
--   $16  status_1         character varying         'running'
--   $17  waiting_for_1    text                      'attempt'
--   $18  attempt_1        integer                   1
--   $19  param_2          character varying         'attempt'
--   $20  param_3          bigint                    4294967295
--   $21  param_6          bigint                    4294967295
WITH live AS MATERIALIZED (
    SELECT callboard.jobs.id AS id, callboard.jobs.created_at AS created_at
    FROM callboard.jobs
    WHERE CAST(pg_current_snapshot() AS TEXT) != $1::VARCHAR
        AND age(jobs.xmin) <= (SELECT age(CAST(pg_snapshot_xmin(CAST($1::VARCHAR AS pg_snapshot)) AS xid)) AS age_1)
        AND NOT pg_visible_in_snapshot(
            CAST(
                CAST(
                    CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT) - (
                        (
                            CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT) - CAST(
                                CAST(jobs.xmin AS TEXT) AS BIGINT
                            )
                        ) & $2::BIGINT
                    ) AS TEXT
                ) AS xid8
            ),
            CAST($1::VARCHAR AS pg_snapshot)
        )
        AND (CAST($3::UUID AS UUID) IS NULL OR callboard.jobs.id > $3::UUID)
        AND (CAST($4::VARCHAR AS TEXT) IS NULL OR callboard.jobs.owner = $4::VARCHAR)
),

finished AS MATERIALIZED (
    SELECT callboard.job_history.id AS id, callboard.job_history.created_at AS created_at
    FROM callboard.job_history
    WHERE callboard.job_history.finished_at >= $5::TIMESTAMP WITH TIME ZONE - make_interval(
        $6::INTEGER, $7::INTEGER, $8::INTEGER, $9::INTEGER, $10::INTEGER, $11::INTEGER, $12
    )
        AND callboard.job_history.deleted IS false
        AND CAST(pg_current_snapshot() AS TEXT) != $1::VARCHAR
        AND age(job_history.xmin) <= (
            SELECT age(CAST(pg_snapshot_xmin(CAST($1::VARCHAR AS pg_snapshot)) AS xid)) AS age_2
        )
        AND NOT pg_visible_in_snapshot(
            CAST(
                CAST(
                    CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT) - (
                        (
                            CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT) - CAST(
                                CAST(job_history.xmin AS TEXT) AS BIGINT
                            )
                        ) & $13::BIGINT
                    ) AS TEXT
                ) AS xid8
            ),
            CAST($1::VARCHAR AS pg_snapshot)
        )
        AND (CAST($3::UUID AS UUID) IS NULL OR callboard.job_history.id > $3::UUID)
        AND (CAST($4::VARCHAR AS TEXT) IS NULL OR callboard.job_history.owner = $4::VARCHAR)
),

page AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.created_at AS created_at
    FROM (
        SELECT live.id AS id, live.created_at AS created_at
        FROM live
        UNION ALL
        SELECT finished.id AS id, finished.created_at AS created_at
        FROM finished
    ) AS anon_1
    ORDER BY anon_1.id
    LIMIT $14::INTEGER
)

SELECT
    here.snapshot, here.at, changed.id, changed.type, changed.status, changed.owner, changed.attempt, changed.revision,
    changed.created_at, changed.started_at, changed.cancel_requested_at, changed.batch_id, changed.worker,
    changed.queue, changed.priority, changed.scheduled_at, changed.expires_at, changed.time_limit, changed.max_retries,
    changed.tags, changed.result_ttl, changed.parent_id, changed.progress, changed.error, changed.due_at,
    changed.finished_at, changed.result, changed.waiting_for, changed.transaction
FROM (SELECT CAST(pg_current_snapshot() AS TEXT) AS snapshot, now() AS at) AS here
LEFT OUTER JOIN (
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
        nullif(callboard.jobs.due_at, $15::TIMESTAMP WITH TIME ZONE) AS due_at,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS finished_at, CAST(NULL AS TEXT) AS result,
        CASE
            WHEN (
                callboard.jobs.waiting_for IS NOT NULL
                AND callboard.jobs.status != $16::VARCHAR
                AND CAST((callboard.jobs.waiting_for ->> $17::TEXT) AS INTEGER) = callboard.jobs.attempt + $18::INTEGER
            ) THEN CAST(callboard.jobs.waiting_for - CAST($19::VARCHAR AS TEXT) AS TEXT)
        END AS waiting_for,
        CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT) - (
            (
                CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT) - CAST(
                    CAST(jobs.xmin AS TEXT) AS BIGINT
                )
            ) & $20::BIGINT
        ) AS transaction
    FROM page
    JOIN callboard.jobs ON callboard.jobs.id = page.id
    UNION ALL
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
        CAST(NULL AS TEXT) AS result, CAST(NULL AS TEXT) AS waiting_for,
        CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT) - (
            (
                CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT) - CAST(
                    CAST(job_history.xmin AS TEXT) AS BIGINT
                )
            ) & $21::BIGINT
        ) AS transaction
    FROM page
    JOIN callboard.job_history ON callboard.job_history.id = page.id
        AND callboard.job_history.created_at = page.created_at
) AS changed ON true
ORDER BY changed.id;
