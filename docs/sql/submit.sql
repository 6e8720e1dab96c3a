-- submit (db/transitions/submitting.py)
--
-- Make the jobs of all requests; return one answer for each, in order.
--
-- From nothing to scheduled (its time is ahead) or queued, by the api. Several requests with one key, or several
-- jobs with one unique key, may be in one call; the first wins.
--
-- From: no job. To: scheduled or queued, by its time.
--
-- Called by: api/database, api/jobs.
--
-- Some of it is also sent by: find_submission.

-- Case: one job in each request, no keys; the hint to the dispatcher goes along.

-- Statement 1.
--   $1   param_1          timestamp with time zone  'infinity'
--   $2   status_1         character varying         'running'
--   $3   waiting_for_1    text                      'attempt'
--   $4   attempt_1        integer                   1
--   $5   param_2          character varying         'attempt'
--   $6   make_interval_1  integer                   0
--   $7   make_interval_2  integer                   0
--   $8   make_interval_3  integer                   0
--   $9   make_interval_4  integer                   0
--   $10  make_interval_5  integer                   0
--   $11  make_interval_6  integer                   0
--   $12  coalesce_1       boolean                   false
--   $13  param_3          character varying         'scheduled'
--   $14  param_4          character varying         'queued'
--   $15  rowset           character varying
WITH rowset AS MATERIALIZED (
    SELECT
        anon_1.id AS id, anon_1.created_at AS created_at, anon_1.type AS type, anon_1.owner AS owner,
        anon_1.payload AS payload, anon_1.queue AS queue, anon_1.priority AS priority, anon_1.delay AS delay,
        anon_1.scheduled_at AS scheduled_at, anon_1.expires_at AS expires_at, anon_1.time_limit AS time_limit,
        anon_1.max_retries AS max_retries, anon_1.tags AS tags, anon_1.unique_key AS unique_key,
        anon_1.result_ttl AS result_ttl, anon_1.parent_id AS parent_id, anon_1.batch_id AS batch_id,
        anon_1.traceparent AS traceparent
    FROM json_to_recordset(CAST($15::VARCHAR AS JSON)) AS anon_1(
        id UUID, created_at TIMESTAMP WITH TIME ZONE, type TEXT, owner TEXT, payload TEXT, queue TEXT, priority INTEGER,
        delay DOUBLE PRECISION, scheduled_at TIMESTAMP WITH TIME ZONE, expires_at TIMESTAMP WITH TIME ZONE,
        time_limit DOUBLE PRECISION, max_retries INTEGER, tags TEXT, unique_key TEXT, result_ttl DOUBLE PRECISION,
        parent_id UUID, batch_id UUID, traceparent TEXT
    )
)

INSERT INTO callboard.jobs (
    id, created_at, type, owner, queue, priority, expires_at, time_limit, max_retries, unique_key, result_ttl,
    parent_id, batch_id, traceparent, payload, tags, scheduled_at, status, due_at, queued_at
)
SELECT
    rowset.id AS id, rowset.created_at AS created_at, rowset.type AS type, rowset.owner AS owner, rowset.queue AS queue,
    rowset.priority AS priority, rowset.expires_at AS expires_at, rowset.time_limit AS time_limit,
    rowset.max_retries AS max_retries, rowset.unique_key AS unique_key, rowset.result_ttl AS result_ttl,
    rowset.parent_id AS parent_id, rowset.batch_id AS batch_id, rowset.traceparent AS traceparent,
    CAST(rowset.payload AS JSONB) AS payload, CAST(rowset.tags AS JSONB) AS tags,
    coalesce(
        rowset.scheduled_at,
        now() + make_interval(
            $6::INTEGER, $7::INTEGER, $8::INTEGER, $9::INTEGER, $10::INTEGER, $11::INTEGER, rowset.delay
        )
    ) AS scheduled_at,
    CASE
        WHEN coalesce(
            coalesce(
                rowset.scheduled_at,
                now() + make_interval(
                    $6::INTEGER, $7::INTEGER, $8::INTEGER, $9::INTEGER, $10::INTEGER, $11::INTEGER, rowset.delay
                )
            ) > now(),
            $12
        ) THEN $13::VARCHAR
        ELSE $14::VARCHAR
    END AS status,
    CASE
        WHEN coalesce(
            coalesce(
                rowset.scheduled_at,
                now() + make_interval(
                    $6::INTEGER, $7::INTEGER, $8::INTEGER, $9::INTEGER, $10::INTEGER, $11::INTEGER, rowset.delay
                )
            ) > now(),
            $12
        ) THEN coalesce(
            rowset.scheduled_at,
            now() + make_interval(
                $6::INTEGER, $7::INTEGER, $8::INTEGER, $9::INTEGER, $10::INTEGER, $11::INTEGER, rowset.delay
            )
        )
        ELSE NULL
    END AS due_at,
    CASE
        WHEN coalesce(
            coalesce(
                rowset.scheduled_at,
                now() + make_interval(
                    $6::INTEGER, $7::INTEGER, $8::INTEGER, $9::INTEGER, $10::INTEGER, $11::INTEGER, rowset.delay
                )
            ) > now(),
            $12
        ) THEN NULL
        ELSE now()
    END AS queued_at
FROM rowset
ON CONFLICT DO NOTHING
RETURNING
    callboard.jobs.id, callboard.jobs.type, callboard.jobs.status, callboard.jobs.owner, callboard.jobs.attempt,
    callboard.jobs.revision, callboard.jobs.created_at, callboard.jobs.started_at, callboard.jobs.cancel_requested_at,
    callboard.jobs.batch_id, callboard.jobs.worker, callboard.jobs.queue, callboard.jobs.priority,
    callboard.jobs.scheduled_at, callboard.jobs.expires_at, callboard.jobs.time_limit, callboard.jobs.max_retries,
    callboard.jobs.tags, callboard.jobs.result_ttl, callboard.jobs.parent_id,
    CAST(callboard.jobs.progress AS TEXT) AS progress, CAST(callboard.jobs.error AS TEXT) AS error,
    nullif(callboard.jobs.due_at, $1::TIMESTAMP WITH TIME ZONE) AS due_at,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS finished_at, CAST(NULL AS TEXT) AS result,
    CASE
        WHEN (
            callboard.jobs.waiting_for IS NOT NULL
            AND callboard.jobs.status != $2::VARCHAR
            AND CAST((callboard.jobs.waiting_for ->> $3::TEXT) AS INTEGER) = callboard.jobs.attempt + $4::INTEGER
        ) THEN CAST(callboard.jobs.waiting_for - CAST($5::VARCHAR AS TEXT) AS TEXT)
    END AS waiting_for;

-- Statement 2.
--   $1  set_config_2  character varying  'synchronous_commit'
--   $2  set_config_3  character varying  'off'
--   $3  param_1       boolean            true
--   $4  pg_notify_2   character varying  'callboard_dispatch'
--   $5  pg_notify_3   character varying  ''
SELECT set_config($1::VARCHAR, $2::VARCHAR, $3) AS set_config_1, pg_notify($4::VARCHAR, $5::VARCHAR) AS pg_notify_1;

-- Case: several jobs in a request, no keys.

-- Statement 3.
--   $1   make_interval_1  integer            0
--   $2   make_interval_2  integer            0
--   $3   make_interval_3  integer            0
--   $4   make_interval_4  integer            0
--   $5   make_interval_5  integer            0
--   $6   make_interval_6  integer            0
--   $7   coalesce_1       boolean            false
--   $8   param_1          character varying  'scheduled'
--   $9   param_2          character varying  'queued'
--   $10  rowset           character varying
WITH rowset AS MATERIALIZED (
    SELECT
        anon_1.id AS id, anon_1.created_at AS created_at, anon_1.type AS type, anon_1.owner AS owner,
        anon_1.payload AS payload, anon_1.queue AS queue, anon_1.priority AS priority, anon_1.delay AS delay,
        anon_1.scheduled_at AS scheduled_at, anon_1.expires_at AS expires_at, anon_1.time_limit AS time_limit,
        anon_1.max_retries AS max_retries, anon_1.tags AS tags, anon_1.unique_key AS unique_key,
        anon_1.result_ttl AS result_ttl, anon_1.parent_id AS parent_id, anon_1.batch_id AS batch_id,
        anon_1.traceparent AS traceparent
    FROM json_to_recordset(CAST($10::VARCHAR AS JSON)) AS anon_1(
        id UUID, created_at TIMESTAMP WITH TIME ZONE, type TEXT, owner TEXT, payload TEXT, queue TEXT, priority INTEGER,
        delay DOUBLE PRECISION, scheduled_at TIMESTAMP WITH TIME ZONE, expires_at TIMESTAMP WITH TIME ZONE,
        time_limit DOUBLE PRECISION, max_retries INTEGER, tags TEXT, unique_key TEXT, result_ttl DOUBLE PRECISION,
        parent_id UUID, batch_id UUID, traceparent TEXT
    )
)

INSERT INTO callboard.jobs (
    id, created_at, type, owner, queue, priority, expires_at, time_limit, max_retries, unique_key, result_ttl,
    parent_id, batch_id, traceparent, payload, tags, scheduled_at, status, due_at, queued_at
)
SELECT
    rowset.id AS id, rowset.created_at AS created_at, rowset.type AS type, rowset.owner AS owner, rowset.queue AS queue,
    rowset.priority AS priority, rowset.expires_at AS expires_at, rowset.time_limit AS time_limit,
    rowset.max_retries AS max_retries, rowset.unique_key AS unique_key, rowset.result_ttl AS result_ttl,
    rowset.parent_id AS parent_id, rowset.batch_id AS batch_id, rowset.traceparent AS traceparent,
    CAST(rowset.payload AS JSONB) AS payload, CAST(rowset.tags AS JSONB) AS tags,
    coalesce(
        rowset.scheduled_at,
        now() + make_interval(
            $1::INTEGER, $2::INTEGER, $3::INTEGER, $4::INTEGER, $5::INTEGER, $6::INTEGER, rowset.delay
        )
    ) AS scheduled_at,
    CASE
        WHEN coalesce(
            coalesce(
                rowset.scheduled_at,
                now() + make_interval(
                    $1::INTEGER, $2::INTEGER, $3::INTEGER, $4::INTEGER, $5::INTEGER, $6::INTEGER, rowset.delay
                )
            ) > now(),
            $7
        ) THEN $8::VARCHAR
        ELSE $9::VARCHAR
    END AS status,
    CASE
        WHEN coalesce(
            coalesce(
                rowset.scheduled_at,
                now() + make_interval(
                    $1::INTEGER, $2::INTEGER, $3::INTEGER, $4::INTEGER, $5::INTEGER, $6::INTEGER, rowset.delay
                )
            ) > now(),
            $7
        ) THEN coalesce(
            rowset.scheduled_at,
            now() + make_interval(
                $1::INTEGER, $2::INTEGER, $3::INTEGER, $4::INTEGER, $5::INTEGER, $6::INTEGER, rowset.delay
            )
        )
        ELSE NULL
    END AS due_at,
    CASE
        WHEN coalesce(
            coalesce(
                rowset.scheduled_at,
                now() + make_interval(
                    $1::INTEGER, $2::INTEGER, $3::INTEGER, $4::INTEGER, $5::INTEGER, $6::INTEGER, rowset.delay
                )
            ) > now(),
            $7
        ) THEN NULL
        ELSE now()
    END AS queued_at
FROM rowset
ON CONFLICT DO NOTHING
RETURNING callboard.jobs.id;

-- As before: statement 2.

-- Case: with an idempotency key.

-- Statement 4.
--   $1  rowset           character varying
--   $2  make_interval_1  integer            0
--   $3  make_interval_2  integer            0
--   $4  make_interval_3  integer            0
--   $5  make_interval_4  integer            0
--   $6  make_interval_5  integer            0
--   $7  make_interval_6  integer            0
--   $8  name_1           character varying  'idempotency keys'
--   $9  coalesce_1       integer            0
WITH rowset AS MATERIALIZED (
    SELECT
        anon_2.owner AS owner, anon_2.key AS key, anon_2.job_ids AS job_ids, anon_2.request_hash AS request_hash,
        anon_2.ttl AS ttl
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_2(
        owner TEXT, key TEXT, job_ids TEXT, request_hash BYTEA, ttl DOUBLE PRECISION
    )
),

unknown AS MATERIALIZED (
    SELECT
        rowset.owner AS owner, rowset.key AS key, rowset.job_ids AS job_ids, rowset.request_hash AS request_hash,
        rowset.ttl AS ttl
    FROM rowset
    LEFT OUTER JOIN callboard.idempotency_keys ON callboard.idempotency_keys.owner = rowset.owner
        AND callboard.idempotency_keys.key = rowset.key
    WHERE callboard.idempotency_keys.key IS NULL
)

INSERT INTO callboard.idempotency_keys (owner, key, job_ids, request_hash, expires_at)
SELECT
    unknown.owner, unknown.key, CAST(unknown.job_ids AS UUID[]) AS job_ids, unknown.request_hash,
    now() + make_interval($2::INTEGER, $3::INTEGER, $4::INTEGER, $5::INTEGER, $6::INTEGER, $7::INTEGER, unknown.ttl)
        AS anon_1
FROM unknown
WHERE pg_try_advisory_xact_lock(
    hashtextextended(
        unknown.owner,
        hashtextextended(
            unknown.key,
            coalesce(
                (SELECT callboard.locks.seed FROM callboard.locks WHERE callboard.locks.name = $8::VARCHAR), $9::INTEGER
            )
        )
    )
)
ON CONFLICT DO NOTHING;

-- Statement 5.
--   $1  rowset  character varying
WITH rowset AS MATERIALIZED (
    SELECT anon_1.owner AS owner, anon_1.key AS key
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(owner TEXT, key TEXT)
)

SELECT
    callboard.idempotency_keys.owner, callboard.idempotency_keys.key, callboard.idempotency_keys.job_ids,
    callboard.idempotency_keys.request_hash
FROM rowset
JOIN callboard.idempotency_keys ON callboard.idempotency_keys.owner = rowset.owner
    AND callboard.idempotency_keys.key = rowset.key;

-- As before: statement 1.

-- Case: with a unique key that a live job has.

-- As before: statement 1.

-- Statement 6.
--   $1  rowset         character varying
--   $2  param_1        timestamp with time zone  'infinity'
--   $3  status_1       character varying         'running'
--   $4  waiting_for_1  text                      'attempt'
--   $5  attempt_1      integer                   1
--   $6  param_2        character varying         'attempt'
WITH rowset AS MATERIALIZED (
    SELECT
        anon_1.id AS id, anon_1.created_at AS created_at, anon_1.owner AS owner, anon_1.type AS type,
        anon_1.unique_key AS unique_key
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(
        id UUID, created_at TIMESTAMP WITH TIME ZONE, owner TEXT, type TEXT, unique_key TEXT
    )
)

SELECT
    callboard.jobs.id, callboard.jobs.type, callboard.jobs.status, callboard.jobs.owner, callboard.jobs.attempt,
    callboard.jobs.revision, callboard.jobs.created_at, callboard.jobs.started_at, callboard.jobs.cancel_requested_at,
    callboard.jobs.batch_id, callboard.jobs.worker, callboard.jobs.queue, callboard.jobs.priority,
    callboard.jobs.scheduled_at, callboard.jobs.expires_at, callboard.jobs.time_limit, callboard.jobs.max_retries,
    callboard.jobs.tags, callboard.jobs.result_ttl, callboard.jobs.parent_id,
    CAST(callboard.jobs.progress AS TEXT) AS progress, CAST(callboard.jobs.error AS TEXT) AS error,
    nullif(callboard.jobs.due_at, $2::TIMESTAMP WITH TIME ZONE) AS due_at,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS finished_at, CAST(NULL AS TEXT) AS result,
    CASE
        WHEN (
            callboard.jobs.waiting_for IS NOT NULL
            AND callboard.jobs.status != $3::VARCHAR
            AND CAST((callboard.jobs.waiting_for ->> $4::TEXT) AS INTEGER) = callboard.jobs.attempt + $5::INTEGER
        ) THEN CAST(callboard.jobs.waiting_for - CAST($6::VARCHAR AS TEXT) AS TEXT)
    END AS waiting_for,
    rowset.id AS asked_id
FROM rowset
JOIN callboard.jobs ON callboard.jobs.id = rowset.id
    OR callboard.jobs.owner = rowset.owner AND callboard.jobs.type = rowset.type AND callboard.jobs.unique_key =
        rowset.unique_key
UNION ALL
SELECT
    callboard.job_history.id, callboard.job_history.type, callboard.job_history.status, callboard.job_history.owner,
    callboard.job_history.attempt, callboard.job_history.revision, callboard.job_history.created_at,
    callboard.job_history.started_at, callboard.job_history.cancel_requested_at, callboard.job_history.batch_id,
    callboard.job_history.worker, callboard.job_history.queue, callboard.job_history.priority,
    callboard.job_history.scheduled_at, callboard.job_history.expires_at, callboard.job_history.time_limit,
    callboard.job_history.max_retries, callboard.job_history.tags, callboard.job_history.result_ttl,
    callboard.job_history.parent_id, CAST(callboard.job_history.progress AS TEXT) AS progress,
    CAST(callboard.job_history.error AS TEXT) AS error, CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS due_at,
    callboard.job_history.finished_at AS finished_at, CAST(callboard.job_history.result AS TEXT) AS result,
    CAST(NULL AS TEXT) AS waiting_for, rowset.id AS asked_id
FROM rowset
JOIN callboard.job_history ON callboard.job_history.id = rowset.id
    AND callboard.job_history.created_at = rowset.created_at;

-- Case: with an idempotency key, and a unique key that a live job has.

-- As before: statement 4.

-- As before: statement 5.

-- As before: statement 1.

-- As before: statement 6.

-- Statement 7.
--   $1  rowset  character varying
WITH rowset AS MATERIALIZED (
    SELECT
        anon_1.owner AS owner, anon_1.key AS key, anon_1.job_ids AS job_ids, anon_1.request_hash AS request_hash,
        anon_1.ttl AS ttl
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(
        owner TEXT, key TEXT, job_ids TEXT, request_hash BYTEA, ttl DOUBLE PRECISION
    )
)

UPDATE callboard.idempotency_keys
SET job_ids=CAST(rowset.job_ids AS UUID[])
FROM rowset
WHERE callboard.idempotency_keys.owner = rowset.owner AND callboard.idempotency_keys.key = rowset.key;

-- Case: once more as the answer was lost; the job has finished meanwhile.

-- As before: statement 1.

-- Statement 8.
--   $1  rowset  character varying
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.created_at AS created_at
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID, created_at TIMESTAMP WITH TIME ZONE)
)

SELECT rowset.id
FROM rowset
JOIN callboard.job_history ON callboard.job_history.id = rowset.id
    AND callboard.job_history.created_at = rowset.created_at;

-- Statement 9.
--   $1  ids_1  uuid
DELETE FROM callboard.jobs
WHERE callboard.jobs.id IN ($1::UUID);

-- As before: statement 6.
