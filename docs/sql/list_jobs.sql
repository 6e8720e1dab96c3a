-- list_jobs (db/reads/lists.py)
--
-- Return up to limit jobs, newest first; those older than the id before.
--
-- Live and finished jobs are one list: each table gives its newest jobs, in the order of an index. A page reads about
-- scan_limit rows of each table. Where few of them fit the rest of the filter, the page has fewer than limit
-- jobs, or none, and is not the last.
--
-- Called by: api/jobs.
--
-- Some of it is also sent by: read_in_order, count_jobs, export_piece.

-- Case: all, the first page.

-- As before: statement 1 of read_in_order.sql.

-- Statement 1.
--   $1  param_1        timestamp with time zone  'infinity'
--   $2  status_1       character varying         'running'
--   $3  waiting_for_1  text                      'attempt'
--   $4  attempt_1      integer                   1
--   $5  param_2        character varying         'attempt'
--   $6  param_3        integer                   21
--   $7  param_4        integer                   21
--   $8  param_5        integer                   21
SELECT
    id, type, status, owner, attempt, revision, created_at, started_at, cancel_requested_at, batch_id, worker, queue,
    priority, scheduled_at, expires_at, time_limit, max_retries, tags, result_ttl, parent_id, progress, error, due_at,
    finished_at, result, waiting_for
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
        ORDER BY callboard.jobs.id DESC
        LIMIT $6::INTEGER
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
        WHERE callboard.job_history.deleted IS false
        ORDER BY callboard.job_history.id DESC
        LIMIT $7::INTEGER
    )
) AS anon_1
ORDER BY id DESC
LIMIT $8::INTEGER;

-- Case: of one owner, a later page.

-- As before: statement 1 of read_in_order.sql.

-- Statement 2.
--   $1   param_1        timestamp with time zone  'infinity'
--   $2   status_1       character varying         'running'
--   $3   waiting_for_1  text                      'attempt'
--   $4   attempt_1      integer                   1
--   $5   param_2        character varying         'attempt'
--   $6   id_1           uuid
--   $7   created_at_1   timestamp with time zone
--   $8   param_3        text[]
--   $9   param_4        integer                   21
--   $10  id_2           uuid
--   $11  created_at_2   timestamp with time zone
--   $12  param_5        text[]
--   $13  param_6        integer                   21
--   $14  param_7        integer                   21
SELECT
    id, type, status, owner, attempt, revision, created_at, started_at, cancel_requested_at, batch_id, worker, queue,
    priority, scheduled_at, expires_at, time_limit, max_retries, tags, result_ttl, parent_id, progress, error, due_at,
    finished_at, result, waiting_for
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
        WHERE callboard.jobs.id < $6::UUID
            AND callboard.jobs.created_at <= $7::TIMESTAMP WITH TIME ZONE
            AND callboard.jobs.owner = ANY ($8::TEXT[])
        ORDER BY callboard.jobs.owner DESC, callboard.jobs.id DESC
        LIMIT $9::INTEGER
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
        WHERE callboard.job_history.id < $10::UUID
            AND callboard.job_history.created_at <= $11::TIMESTAMP WITH TIME ZONE
            AND callboard.job_history.owner = ANY ($12::TEXT[])
            AND callboard.job_history.deleted IS false
        ORDER BY callboard.job_history.owner DESC, callboard.job_history.id DESC
        LIMIT $13::INTEGER
    )
) AS anon_1
ORDER BY id DESC
LIMIT $14::INTEGER;

-- Case: of one owner and one type, which no index knows together.

-- As before: statement 1 of read_in_order.sql.

-- Statement 3.
--   $1   param_1   integer  0
--   $2   param_2   text[]
--   $3   param_3   integer  1
--   $4   param_4   integer  1
--   $5   param_5   integer  1
--   $6   param_6   text[]
--   $7   param_7   integer  1
--   $8   param_8   integer  1
--   $9   param_9   integer  2
--   $10  param_10  text[]
--   $11  param_11  integer  1
--   $12  param_12  integer  1
SELECT
    $1::INTEGER AS number,
     (
        SELECT callboard.jobs.id
        FROM callboard.jobs
        WHERE callboard.jobs.owner = ANY ($2::TEXT[])
        ORDER BY callboard.jobs.owner DESC, callboard.jobs.id DESC
        LIMIT $3::INTEGER
        OFFSET $4::INTEGER
    ) AS edge
UNION ALL
SELECT
    $5::INTEGER AS number,
     (
        SELECT callboard.job_history.id
        FROM callboard.job_history
        WHERE callboard.job_history.owner = ANY ($6::TEXT[])
        ORDER BY callboard.job_history.owner DESC, callboard.job_history.id DESC
        LIMIT $7::INTEGER
        OFFSET $8::INTEGER
    ) AS edge
UNION ALL
SELECT
    $9::INTEGER AS number,
     (
        SELECT callboard.job_history.id
        FROM callboard.job_history
        WHERE callboard.job_history.type = ANY ($10::TEXT[])
        ORDER BY callboard.job_history.type DESC, callboard.job_history.id DESC
        LIMIT $11::INTEGER
        OFFSET $12::INTEGER
    ) AS edge;

-- Statement 4.
--   $1   param_1        timestamp with time zone  'infinity'
--   $2   status_1       character varying         'running'
--   $3   waiting_for_1  text                      'attempt'
--   $4   attempt_1      integer                   1
--   $5   param_2        character varying         'attempt'
--   $6   param_3        text[]
--   $7   param_4        uuid
--   $8   param_5        integer                   0
--   $9   type_1         character varying         'test.job'
--   $10  owner_1        character varying         'owner'
--   $11  param_6        integer                   21
--   $12  param_7        text[]
--   $13  param_8        uuid
--   $14  param_9        integer                   0
--   $15  type_2         character varying         'test.job'
--   $16  owner_2        character varying         'owner'
--   $17  param_10       integer                   21
--   $18  param_11       integer                   21
SELECT
    id, type, status, owner, attempt, revision, created_at, started_at, cancel_requested_at, batch_id, worker, queue,
    priority, scheduled_at, expires_at, time_limit, max_retries, tags, result_ttl, parent_id, progress, error, due_at,
    finished_at, result, waiting_for
FROM (
    (
        SELECT
            id, type, status, owner, attempt, revision, created_at, started_at, cancel_requested_at, batch_id, worker,
            queue, priority, scheduled_at, expires_at, time_limit, max_retries, tags, result_ttl, parent_id, progress,
            error, due_at, finished_at, result, waiting_for
        FROM (
            SELECT
                callboard.jobs.id AS id, callboard.jobs.type AS type, callboard.jobs.status AS status,
                callboard.jobs.owner AS owner, callboard.jobs.attempt AS attempt, callboard.jobs.revision AS revision,
                callboard.jobs.created_at AS created_at, callboard.jobs.started_at AS started_at,
                callboard.jobs.cancel_requested_at AS cancel_requested_at, callboard.jobs.batch_id AS batch_id,
                callboard.jobs.worker AS worker, callboard.jobs.queue AS queue, callboard.jobs.priority AS priority,
                callboard.jobs.scheduled_at AS scheduled_at, callboard.jobs.expires_at AS expires_at,
                callboard.jobs.time_limit AS time_limit, callboard.jobs.max_retries AS max_retries,
                callboard.jobs.tags AS tags, callboard.jobs.result_ttl AS result_ttl,
                callboard.jobs.parent_id AS parent_id, CAST(callboard.jobs.progress AS TEXT) AS progress,
                CAST(callboard.jobs.error AS TEXT) AS error,
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
            WHERE callboard.jobs.owner = ANY ($6::TEXT[]) AND callboard.jobs.id >= $7::UUID
            ORDER BY callboard.jobs.owner DESC, callboard.jobs.id DESC
            LIMIT ALL
            OFFSET $8::INTEGER
        ) AS anon_2
        WHERE type = $9::VARCHAR AND owner = $10::VARCHAR
        ORDER BY owner DESC, id DESC
        LIMIT $11::INTEGER
    )
    UNION ALL (
        SELECT
            id, type, status, owner, attempt, revision, created_at, started_at, cancel_requested_at, batch_id, worker,
            queue, priority, scheduled_at, expires_at, time_limit, max_retries, tags, result_ttl, parent_id, progress,
            error, due_at, finished_at, result, waiting_for
        FROM (
            SELECT
                callboard.job_history.id AS id, callboard.job_history.type AS type,
                callboard.job_history.status AS status, callboard.job_history.owner AS owner,
                callboard.job_history.attempt AS attempt, callboard.job_history.revision AS revision,
                callboard.job_history.created_at AS created_at, callboard.job_history.started_at AS started_at,
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
            WHERE callboard.job_history.owner = ANY ($12::TEXT[])
                AND callboard.job_history.id >= $13::UUID
                AND callboard.job_history.deleted IS false
            ORDER BY callboard.job_history.owner DESC, callboard.job_history.id DESC
            LIMIT ALL
            OFFSET $14::INTEGER
        ) AS anon_3
        WHERE type = $15::VARCHAR AND owner = $16::VARCHAR
        ORDER BY owner DESC, id DESC
        LIMIT $17::INTEGER
    )
) AS anon_1
ORDER BY id DESC
LIMIT $18::INTEGER;
