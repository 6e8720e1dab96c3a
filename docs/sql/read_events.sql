-- read_events (db/reads/timeline.py)
--
-- Return the events that the watches have not seen, at most limit for each job that has changed.
--
-- One statement, whatever the number of watches. Jobs that have not changed are left out. Of a job that was reopened
-- the attempts are known, but not the events between them (the end, a cancel).
--
-- Called by: api/live.

-- Statement 1.
--   $1   rowset         character varying
--   $2   status_1       character varying  'retrying'
--   $3   param_1        character varying  'waiting'
--   $4   param_2        integer            0
--   $5   waiting_for_1  text               'since'
--   $6   waiting_for_2  text               'attempt'
--   $7   param_3        integer            1000
--   $8   param_4        character varying  'attempt'
--   $9   param_5        character varying  'submitted'
--   $10  param_6        integer            1
--   $11  param_7        integer            0
--   $12  param_8        bigint             0
--   $13  param_9        character varying  'started'
--   $14  param_10       integer            2
--   $15  param_11       bigint             0
--   $16  param_12       character varying  'started'
--   $17  param_13       integer            2
--   $18  param_14       bigint             0
--   $19  status_2       character varying  'running'
--   $20  param_15       character varying  'progress'
--   $21  param_16       integer            3
--   $22  limit          integer
--   $23  outcome_1      character varying  'released'
--   $24  param_17       character varying  'released'
--   $25  param_18       character varying  'retry'
--   $26  param_19       integer            4
--   $27  param_20       bigint             0
--   $28  param_21       character varying  'finished'
--   $29  param_22       integer            5
--   $30  param_23       integer            1000
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
        callboard.jobs.waiting_for AS waiting_for,
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
        callboard.job_history.waiting_for AS waiting_for, CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS anon_2,
        callboard.job_history.finished_at AS finished_at, CAST(callboard.job_history.error AS TEXT) AS error
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
        job.cancel_requested_at AS cancel_requested_at, job.waiting_for AS waiting_for,
        job.next_attempt_at AS next_attempt_at, job.finished_at AS finished_at, job.error AS error
    FROM job
    WHERE job.revision != job.known
)

SELECT
    rowset.id, job.revision, job.attempt AS job_attempt, job.cancel_requested_at, job.finished_at, happened.kind,
    happened.stage, happened.at, happened.attempt, happened.count, happened.worker, happened.status, happened.error,
    happened.next_attempt_at, happened.reason, happened.error_type, happened.error_message, happened.current,
    happened.total, happened.step, happened.message, happened.waiting_for
FROM rowset
LEFT OUTER JOIN job ON job.id = rowset.id
LEFT OUTER JOIN (
    SELECT
        changed.id AS id, CAST($3::VARCHAR AS TEXT) AS kind, $4::INTEGER AS stage,
        CAST(CAST(changed.waiting_for ->> $5::TEXT AS VARCHAR) AS TIMESTAMP WITH TIME ZONE) AS at,
        CAST(changed.waiting_for ->> $6::TEXT AS INTEGER) AS attempt,
        CAST(
            floor(
                EXTRACT(
                    epoch
                    FROM CAST(CAST((changed.waiting_for ->> $5::TEXT) AS VARCHAR) AS TIMESTAMP WITH TIME ZONE)
                ) * $7::INTEGER
            ) AS BIGINT
        ) AS count,
        CAST(NULL AS TEXT) AS worker, CAST(NULL AS TEXT) AS status, CAST(NULL AS TEXT) AS error,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS next_attempt_at, CAST(NULL AS TEXT) AS reason,
        CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message,
        CAST(NULL AS DOUBLE PRECISION) AS current, CAST(NULL AS DOUBLE PRECISION) AS total, CAST(NULL AS TEXT) AS step,
        CAST(NULL AS TEXT) AS message, CAST(changed.waiting_for - CAST($8::VARCHAR AS TEXT) AS TEXT) AS waiting_for
    FROM changed
    WHERE changed.waiting_for IS NOT NULL
    UNION ALL
    SELECT
        changed.id AS id, CAST($9::VARCHAR AS TEXT) AS kind, $10::INTEGER AS stage, changed.created_at AS at,
        $11::INTEGER AS attempt, CAST($12::BIGINT AS BIGINT) AS count, CAST(NULL AS TEXT) AS worker,
        CAST(NULL AS TEXT) AS status, CAST(NULL AS TEXT) AS error,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS next_attempt_at, CAST(NULL AS TEXT) AS reason,
        CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message,
        CAST(NULL AS DOUBLE PRECISION) AS current, CAST(NULL AS DOUBLE PRECISION) AS total, CAST(NULL AS TEXT) AS step,
        CAST(NULL AS TEXT) AS message, CAST(NULL AS TEXT) AS waiting_for
    FROM changed
    UNION ALL
    SELECT
        changed.id AS id, CAST($13::VARCHAR AS TEXT) AS kind, $14::INTEGER AS stage,
        callboard.job_attempts.started_at AS at, callboard.job_attempts.attempt AS attempt,
        CAST($15::BIGINT AS BIGINT) AS count, callboard.job_attempts.worker AS worker, CAST(NULL AS TEXT) AS status,
        CAST(NULL AS TEXT) AS error, CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS next_attempt_at,
        CAST(NULL AS TEXT) AS reason, CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message,
        CAST(NULL AS DOUBLE PRECISION) AS current, CAST(NULL AS DOUBLE PRECISION) AS total, CAST(NULL AS TEXT) AS step,
        CAST(NULL AS TEXT) AS message, CAST(NULL AS TEXT) AS waiting_for
    FROM changed
    JOIN callboard.job_attempts ON callboard.job_attempts.job_id = changed.id
        AND callboard.job_attempts.created_at = changed.created_at
        AND callboard.job_attempts.attempt >= changed.seen_attempt
    UNION ALL
    SELECT
        changed.id AS id, CAST($16::VARCHAR AS TEXT) AS kind, $17::INTEGER AS stage, changed.attempt_started_at AS at,
        changed.attempt AS attempt, CAST($18::BIGINT AS BIGINT) AS count, changed.worker AS worker,
        CAST(NULL AS TEXT) AS status, CAST(NULL AS TEXT) AS error,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS next_attempt_at, CAST(NULL AS TEXT) AS reason,
        CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message,
        CAST(NULL AS DOUBLE PRECISION) AS current, CAST(NULL AS DOUBLE PRECISION) AS total, CAST(NULL AS TEXT) AS step,
        CAST(NULL AS TEXT) AS message, CAST(NULL AS TEXT) AS waiting_for
    FROM changed
    WHERE changed.status = $19::VARCHAR
    UNION ALL
    SELECT
        changed.id AS id, CAST($20::VARCHAR AS TEXT) AS kind, $21::INTEGER AS stage, report.reported_at AS at,
        report.attempt AS attempt, CAST(report.seq AS BIGINT) AS count, CAST(NULL AS TEXT) AS worker,
        CAST(NULL AS TEXT) AS status, CAST(NULL AS TEXT) AS error,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS next_attempt_at, CAST(NULL AS TEXT) AS reason,
        CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message, report.current AS current,
        report.total AS total, report.step AS step, report.message AS message, CAST(NULL AS TEXT) AS waiting_for
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
        LIMIT $22::INTEGER
    ) AS report ON true
    UNION ALL
    SELECT
        changed.id AS id,
        CAST(CASE WHEN (callboard.job_attempts.outcome = $23::VARCHAR) THEN $24::VARCHAR ELSE $25::VARCHAR END AS TEXT)
            AS kind,
        $26::INTEGER AS stage, callboard.job_attempts.finished_at AS at, callboard.job_attempts.attempt AS attempt,
        CAST($27::BIGINT AS BIGINT) AS count, callboard.job_attempts.worker AS worker, CAST(NULL AS TEXT) AS status,
        CAST(NULL AS TEXT) AS error,
        CASE
            WHEN (callboard.job_attempts.attempt = changed.attempt) THEN changed.next_attempt_at
        END AS next_attempt_at,
        callboard.job_attempts.reason AS reason, callboard.job_attempts.error_type AS error_type,
        callboard.job_attempts.error_message AS error_message, CAST(NULL AS DOUBLE PRECISION) AS current,
        CAST(NULL AS DOUBLE PRECISION) AS total, CAST(NULL AS TEXT) AS step, CAST(NULL AS TEXT) AS message,
        CAST(NULL AS TEXT) AS waiting_for
    FROM changed
    JOIN callboard.job_attempts ON callboard.job_attempts.job_id = changed.id
        AND callboard.job_attempts.created_at = changed.created_at
        AND callboard.job_attempts.attempt >= changed.seen_attempt
    WHERE changed.finished_at IS NULL OR callboard.job_attempts.finished_at != changed.finished_at
    UNION ALL
    SELECT
        changed.id AS id, CAST($28::VARCHAR AS TEXT) AS kind, $29::INTEGER AS stage, changed.finished_at AS at,
        changed.attempt AS attempt,
        CAST(floor(EXTRACT(epoch FROM changed.finished_at) * $30::INTEGER) AS BIGINT) AS count,
        CAST(NULL AS TEXT) AS worker, changed.status AS status, changed.error AS error,
        CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS next_attempt_at, CAST(NULL AS TEXT) AS reason,
        CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message,
        CAST(NULL AS DOUBLE PRECISION) AS current, CAST(NULL AS DOUBLE PRECISION) AS total, CAST(NULL AS TEXT) AS step,
        CAST(NULL AS TEXT) AS message, CAST(NULL AS TEXT) AS waiting_for
    FROM changed
    WHERE changed.finished_at IS NOT NULL
) AS happened ON happened.id = rowset.id
WHERE job.revision IS DISTINCT FROM rowset.known
ORDER BY rowset.id, happened.attempt, happened.stage, happened.count;
