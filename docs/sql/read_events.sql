-- read_events (db/reads/timeline.py)
--
-- Return the events that the watches have not seen, at most limit for each job that has changed.
--
-- One statement, whatever the number of watches. Jobs that have not changed are left out. Of a job that was reopened
-- the attempts are known, but not the events between them (the end, a cancel).
--
-- Called by: api/live.

-- Statement 1.
--   $1   rowset     character varying
--   $2   status_1   character varying  'retrying'
--   $3   param_1    character varying  'submitted'
--   $4   param_2    integer            1
--   $5   param_3    integer            0
--   $6   param_4    bigint             0
--   $7   param_5    character varying  'started'
--   $8   param_6    integer            2
--   $9   param_7    bigint             0
--   $10  param_8    character varying  'started'
--   $11  param_9    integer            2
--   $12  param_10   bigint             0
--   $13  status_2   character varying  'running'
--   $14  param_11   character varying  'progress'
--   $15  param_12   integer            3
--   $16  limit      integer
--   $17  outcome_1  character varying  'released'
--   $18  param_13   character varying  'released'
--   $19  param_14   character varying  'retry'
--   $20  param_15   integer            4
--   $21  param_16   bigint             0
--   $22  param_17   character varying  'finished'
--   $23  param_18   integer            5
--   $24  param_19   integer            1000
WITH rowset AS MATERIALIZED (
    SELECT
        anon_1.id AS id, anon_1.created_at AS created_at, anon_1.known AS known, anon_1.seen_attempt AS seen_attempt,
        anon_1.seen_report AS seen_report
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(
        id UUID, created_at TIMESTAMP WITH TIME ZONE, known INTEGER, seen_attempt INTEGER, seen_report BIGINT
    )
),

job AS (
    SELECT
        rowset.id AS id, rowset.known AS known, rowset.seen_attempt AS seen_attempt, rowset.seen_report AS seen_report,
        callboard.jobs.created_at AS created_at, callboard.jobs.revision AS revision, callboard.jobs.status AS status,
        callboard.jobs.attempt AS attempt, callboard.jobs.attempt_started_at AS attempt_started_at,
        callboard.jobs.worker AS worker, callboard.jobs.cancel_requested_at AS cancel_requested_at,
        CASE WHEN (callboard.jobs.status = $2::VARCHAR) THEN callboard.jobs.due_at END AS next_attempt_at,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS finished_at, CAST(NULL AS TEXT) AS error
    FROM rowset
    JOIN callboard.jobs ON callboard.jobs.id = rowset.id
    UNION ALL
    SELECT
        rowset.id AS id, rowset.known AS known, rowset.seen_attempt AS seen_attempt, rowset.seen_report AS seen_report,
        callboard.job_history.created_at AS created_at, callboard.job_history.revision AS revision,
        callboard.job_history.status AS status, callboard.job_history.attempt AS attempt,
        callboard.job_history.attempt_started_at AS attempt_started_at, callboard.job_history.worker AS worker,
        callboard.job_history.cancel_requested_at AS cancel_requested_at,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS anon_2, callboard.job_history.finished_at AS finished_at,
        CAST(callboard.job_history.error AS TEXT) AS error
    FROM rowset
    JOIN callboard.job_history ON callboard.job_history.id = rowset.id
        AND callboard.job_history.created_at = rowset.created_at
        AND callboard.job_history.deleted IS false
),

changed AS (
    SELECT
        job.id AS id, job.known AS known, job.seen_attempt AS seen_attempt, job.seen_report AS seen_report,
        job.created_at AS created_at, job.revision AS revision, job.status AS status, job.attempt AS attempt,
        job.attempt_started_at AS attempt_started_at, job.worker AS worker,
        job.cancel_requested_at AS cancel_requested_at, job.next_attempt_at AS next_attempt_at,
        job.finished_at AS finished_at, job.error AS error
    FROM job
    WHERE job.revision != job.known
)

SELECT
    rowset.id, job.revision, job.attempt AS job_attempt, job.cancel_requested_at, job.finished_at, happened.kind,
    happened.stage, happened.at, happened.attempt, happened.count, happened.worker, happened.status, happened.error,
    happened.next_attempt_at, happened.reason, happened.error_type, happened.error_message, happened.current,
    happened.total, happened.step, happened.message
FROM rowset
LEFT OUTER JOIN job ON job.id = rowset.id
LEFT OUTER JOIN (
    SELECT
        changed.id AS id, CAST($3::VARCHAR AS TEXT) AS kind, $4::INTEGER AS stage, changed.created_at AS at,
        $5::INTEGER AS attempt, CAST($6::BIGINT AS BIGINT) AS count, CAST(NULL AS TEXT) AS worker,
        CAST(NULL AS TEXT) AS status, CAST(NULL AS TEXT) AS error,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS next_attempt_at, CAST(NULL AS TEXT) AS reason,
        CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message,
        CAST(NULL AS DOUBLE PRECISION) AS current, CAST(NULL AS DOUBLE PRECISION) AS total, CAST(NULL AS TEXT) AS step,
        CAST(NULL AS TEXT) AS message
    FROM changed
    UNION ALL
    SELECT
        changed.id AS id, CAST($7::VARCHAR AS TEXT) AS kind, $8::INTEGER AS stage,
        callboard.job_attempts.started_at AS at, callboard.job_attempts.attempt AS attempt,
        CAST($9::BIGINT AS BIGINT) AS count, callboard.job_attempts.worker AS worker, CAST(NULL AS TEXT) AS status,
        CAST(NULL AS TEXT) AS error, CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS next_attempt_at,
        CAST(NULL AS TEXT) AS reason, CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message,
        CAST(NULL AS DOUBLE PRECISION) AS current, CAST(NULL AS DOUBLE PRECISION) AS total, CAST(NULL AS TEXT) AS step,
        CAST(NULL AS TEXT) AS message
    FROM changed
    JOIN callboard.job_attempts ON callboard.job_attempts.job_id = changed.id
        AND callboard.job_attempts.created_at = changed.created_at
        AND callboard.job_attempts.attempt >= changed.seen_attempt
    UNION ALL
    SELECT
        changed.id AS id, CAST($10::VARCHAR AS TEXT) AS kind, $11::INTEGER AS stage, changed.attempt_started_at AS at,
        changed.attempt AS attempt, CAST($12::BIGINT AS BIGINT) AS count, changed.worker AS worker,
        CAST(NULL AS TEXT) AS status, CAST(NULL AS TEXT) AS error,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS next_attempt_at, CAST(NULL AS TEXT) AS reason,
        CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message,
        CAST(NULL AS DOUBLE PRECISION) AS current, CAST(NULL AS DOUBLE PRECISION) AS total, CAST(NULL AS TEXT) AS step,
        CAST(NULL AS TEXT) AS message
    FROM changed
    WHERE changed.status = $13::VARCHAR
    UNION ALL
    SELECT
        changed.id AS id, CAST($14::VARCHAR AS TEXT) AS kind, $15::INTEGER AS stage, report.reported_at AS at,
        report.attempt AS attempt, CAST(report.seq AS BIGINT) AS count, CAST(NULL AS TEXT) AS worker,
        CAST(NULL AS TEXT) AS status, CAST(NULL AS TEXT) AS error,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS next_attempt_at, CAST(NULL AS TEXT) AS reason,
        CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message, report.current AS current,
        report.total AS total, report.step AS step, report.message AS message
    FROM changed
    JOIN LATERAL (
        SELECT
            callboard.job_progress.job_id AS job_id, callboard.job_progress.created_at AS created_at,
            callboard.job_progress.attempt AS attempt, callboard.job_progress.seq AS seq,
            callboard.job_progress.reported_at AS reported_at, callboard.job_progress.current AS current,
            callboard.job_progress.total AS total, callboard.job_progress.step AS step,
            callboard.job_progress.message AS message
        FROM callboard.job_progress
        WHERE callboard.job_progress.job_id = changed.id
            AND callboard.job_progress.created_at = changed.created_at
            AND (callboard.job_progress.attempt, callboard.job_progress.seq) > (
                changed.seen_attempt, changed.seen_report
            )
        ORDER BY callboard.job_progress.attempt, callboard.job_progress.seq
        LIMIT $16::INTEGER
    ) AS report ON true
    UNION ALL
    SELECT
        changed.id AS id,
        CAST(CASE WHEN (callboard.job_attempts.outcome = $17::VARCHAR) THEN $18::VARCHAR ELSE $19::VARCHAR END AS TEXT)
            AS kind,
        $20::INTEGER AS stage, callboard.job_attempts.finished_at AS at, callboard.job_attempts.attempt AS attempt,
        CAST($21::BIGINT AS BIGINT) AS count, callboard.job_attempts.worker AS worker, CAST(NULL AS TEXT) AS status,
        CAST(NULL AS TEXT) AS error,
        CASE
            WHEN (callboard.job_attempts.attempt = changed.attempt) THEN changed.next_attempt_at
        END AS next_attempt_at,
        callboard.job_attempts.reason AS reason, callboard.job_attempts.error_type AS error_type,
        callboard.job_attempts.error_message AS error_message, CAST(NULL AS DOUBLE PRECISION) AS current,
        CAST(NULL AS DOUBLE PRECISION) AS total, CAST(NULL AS TEXT) AS step, CAST(NULL AS TEXT) AS message
    FROM changed
    JOIN callboard.job_attempts ON callboard.job_attempts.job_id = changed.id
        AND callboard.job_attempts.created_at = changed.created_at
        AND callboard.job_attempts.attempt >= changed.seen_attempt
    WHERE changed.finished_at IS NULL OR callboard.job_attempts.finished_at != changed.finished_at
    UNION ALL
    SELECT
        changed.id AS id, CAST($22::VARCHAR AS TEXT) AS kind, $23::INTEGER AS stage, changed.finished_at AS at,
        changed.attempt AS attempt,
        CAST(floor(EXTRACT(epoch FROM changed.finished_at) * $24::INTEGER) AS BIGINT) AS count,
        CAST(NULL AS TEXT) AS worker, changed.status AS status, changed.error AS error,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS next_attempt_at, CAST(NULL AS TEXT) AS reason,
        CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message,
        CAST(NULL AS DOUBLE PRECISION) AS current, CAST(NULL AS DOUBLE PRECISION) AS total, CAST(NULL AS TEXT) AS step,
        CAST(NULL AS TEXT) AS message
    FROM changed
    WHERE changed.finished_at IS NOT NULL
) AS happened ON happened.id = rowset.id
WHERE job.revision IS DISTINCT FROM rowset.known
ORDER BY rowset.id, happened.attempt, happened.stage, happened.count;
