-- export_piece (db/reads/exports.py)
--
-- Return the finished jobs of the filter among the next scan_limit after the id after.
--
-- Rows have COLUMNS, then extra of EXTRA; JSON columns are text. Erased jobs are left out. However
-- few jobs fit, a call reads no more than scan_limit rows, by the index of one condition.
--
-- Called by: api/history.
--
-- Some of it is also sent by: read_in_order, list_jobs, count_jobs.

-- Case: all, the first.

-- As before: statement 1 of read_in_order.sql.

-- Statement 1.
--   $1  greatest_1  integer  0
--   $2  error_1     text     'type'
--   $3  param_1     integer  1000
--   $4  param_2     integer  1
WITH found AS (
    SELECT
        callboard.job_history.id AS id, callboard.job_history.type AS type, callboard.job_history.queue AS queue,
        callboard.job_history.status AS status, callboard.job_history.priority AS priority,
        callboard.job_history.owner AS owner, CAST(callboard.job_history.tags AS TEXT) AS tags,
        callboard.job_history.attempt AS attempt, callboard.job_history.retries AS retries,
        callboard.job_history.max_retries AS max_retries, callboard.job_history.time_limit AS time_limit,
        callboard.job_history.created_at AS created_at, callboard.job_history.scheduled_at AS scheduled_at,
        callboard.job_history.started_at AS started_at, callboard.job_history.attempt_started_at AS attempt_started_at,
        callboard.job_history.finished_at AS finished_at, callboard.job_history.expires_at AS expires_at,
        callboard.job_history.cancel_requested_at AS cancel_requested_at, callboard.job_history.parent_id AS parent_id,
        callboard.job_history.worker AS worker, CAST(callboard.job_history.error AS TEXT) AS error,
        CASE
            WHEN (callboard.job_history.started_at IS NOT NULL) THEN greatest(
                $1::INTEGER,
                CAST(
                    EXTRACT(
                        epoch
                        FROM callboard.job_history.started_at - greatest(
                            callboard.job_history.created_at, callboard.job_history.scheduled_at
                        )
                    ) AS DOUBLE PRECISION
                )
            )
        END AS wait_seconds,
        CAST(
            EXTRACT(epoch FROM callboard.job_history.finished_at - callboard.job_history.attempt_started_at) AS DOUBLE
                PRECISION
        ) AS run_seconds,
        callboard.job_history.error ->> $2::TEXT AS error_type, callboard.job_history.result_ttl AS result_ttl,
        callboard.job_history.deleted IS false AS fits
    FROM callboard.job_history
    ORDER BY callboard.job_history.id
    LIMIT $3::INTEGER
)

SELECT
    found.id, found.type, found.queue, found.status, found.priority, found.owner, found.tags, found.attempt,
    found.retries, found.max_retries, found.time_limit, found.created_at, found.scheduled_at, found.started_at,
    found.attempt_started_at, found.finished_at, found.expires_at, found.cancel_requested_at, found.parent_id,
    found.worker, found.error, found.wait_seconds, found.run_seconds, found.error_type, found.result_ttl, found.fits
FROM found
WHERE found.fits OR found.id = (SELECT found.id FROM found ORDER BY found.id DESC LIMIT $4::INTEGER)
ORDER BY found.id;

-- Case: by everything that can be asked for, with payloads and results, a later one.

-- As before: statement 1 of read_in_order.sql.

-- Statement 2.
--   $1   greatest_1    integer                   0
--   $2   error_1       text                      'type'
--   $3   status_1_1    character varying         'cancelled'
--   $4   status_1_2    character varying         'failed'
--   $5   type_1        character varying         'test.job'
--   $6   queue_1       character varying         'default'
--   $7   owner_1       character varying         'owner'
--   $8   param_1       jsonb
--   $9   created_at_1  timestamp with time zone
--   $10  id_1          uuid
--   $11  created_at_2  timestamp with time zone
--   $12  id_2          uuid
--   $13  parent_id_1   uuid
--   $14  id_3          uuid
--   $15  created_at_3  timestamp with time zone
--   $16  created_at_4  timestamp with time zone
--   $17  id_4          uuid
--   $18  created_at_5  timestamp with time zone
--   $19  id_5          uuid
--   $20  param_2       uuid[]
--   $21  param_3       integer                   1000
--   $22  param_4       integer                   1
WITH found AS (
    SELECT
        callboard.job_history.id AS id, callboard.job_history.type AS type, callboard.job_history.queue AS queue,
        callboard.job_history.status AS status, callboard.job_history.priority AS priority,
        callboard.job_history.owner AS owner, CAST(callboard.job_history.tags AS TEXT) AS tags,
        callboard.job_history.attempt AS attempt, callboard.job_history.retries AS retries,
        callboard.job_history.max_retries AS max_retries, callboard.job_history.time_limit AS time_limit,
        callboard.job_history.created_at AS created_at, callboard.job_history.scheduled_at AS scheduled_at,
        callboard.job_history.started_at AS started_at, callboard.job_history.attempt_started_at AS attempt_started_at,
        callboard.job_history.finished_at AS finished_at, callboard.job_history.expires_at AS expires_at,
        callboard.job_history.cancel_requested_at AS cancel_requested_at, callboard.job_history.parent_id AS parent_id,
        callboard.job_history.worker AS worker, CAST(callboard.job_history.error AS TEXT) AS error,
        CASE
            WHEN (callboard.job_history.started_at IS NOT NULL) THEN greatest(
                $1::INTEGER,
                CAST(
                    EXTRACT(
                        epoch
                        FROM callboard.job_history.started_at - greatest(
                            callboard.job_history.created_at, callboard.job_history.scheduled_at
                        )
                    ) AS DOUBLE PRECISION
                )
            )
        END AS wait_seconds,
        CAST(
            EXTRACT(epoch FROM callboard.job_history.finished_at - callboard.job_history.attempt_started_at) AS DOUBLE
                PRECISION
        ) AS run_seconds,
        callboard.job_history.error ->> $2::TEXT AS error_type, callboard.job_history.result_ttl AS result_ttl,
        CAST(callboard.job_history.payload AS TEXT) AS payload, CAST(callboard.job_history.result AS TEXT) AS result,
        callboard.job_history.deleted IS false
            AND callboard.job_history.status IN ($3::VARCHAR, $4::VARCHAR)
            AND callboard.job_history.type = $5::VARCHAR
            AND callboard.job_history.queue = $6::VARCHAR
            AND callboard.job_history.owner = $7::VARCHAR
            AND (callboard.job_history.tags @> CAST($8::JSONB AS JSONB))
            AND callboard.job_history.created_at >= $9::TIMESTAMP WITH TIME ZONE
            AND callboard.job_history.id >= $10::UUID
            AND callboard.job_history.created_at < $11::TIMESTAMP WITH TIME ZONE
            AND callboard.job_history.id < $12::UUID
            AND callboard.job_history.parent_id = $13::UUID AS fits
    FROM callboard.job_history
    WHERE callboard.job_history.id > $14::UUID
        AND callboard.job_history.created_at >= $15::TIMESTAMP WITH TIME ZONE
        AND callboard.job_history.created_at >= $16::TIMESTAMP WITH TIME ZONE
        AND callboard.job_history.id >= $17::UUID
        AND callboard.job_history.created_at < $18::TIMESTAMP WITH TIME ZONE
        AND callboard.job_history.id < $19::UUID
        AND callboard.job_history.parent_id = ANY ($20::UUID[])
        AND callboard.job_history.parent_id IS NOT NULL
    ORDER BY callboard.job_history.parent_id, callboard.job_history.id
    LIMIT $21::INTEGER
)

SELECT
    found.id, found.type, found.queue, found.status, found.priority, found.owner, found.tags, found.attempt,
    found.retries, found.max_retries, found.time_limit, found.created_at, found.scheduled_at, found.started_at,
    found.attempt_started_at, found.finished_at, found.expires_at, found.cancel_requested_at, found.parent_id,
    found.worker, found.error, found.wait_seconds, found.run_seconds, found.error_type, found.result_ttl, found.payload,
    found.result, found.fits
FROM found
WHERE found.fits OR found.id = (SELECT found.id FROM found ORDER BY found.id DESC LIMIT $22::INTEGER)
ORDER BY found.id;
