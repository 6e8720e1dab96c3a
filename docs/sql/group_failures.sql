-- group_failures (db/history/failures.py)
--
-- Group the failures of the jobs that ended from since on and before until.
--
-- The kind of error of an erased job is still known, its message is not.
--
-- Called by: api/history.

-- Case: all.

-- Statement 1.
--   $1   status_1          character varying         'failed'
--   $2   param_2           timestamp with time zone
--   $3   param_3           timestamp with time zone
--   $4   param_4           timestamp with time zone
--   $5   most              integer                   20001
--   $6   param_1           integer                   1
--   $7   error_1           character varying         'reason'
--   $8   error_2           character varying         'type'
--   $9   error_3           character varying         'message'
--   $10  left_1            integer                   200
--   $11  regexp_replace_1  character varying          E'[\\w-]*\\d[\\w-]*'
--   $12  regexp_replace_2  character varying         '#'
--   $13  regexp_replace_3  character varying         'g'
--   $14  param_5           integer                   1
--   $15  limit             integer                   20
WITH failed AS (
    SELECT
        callboard.job_history.id AS id, callboard.job_history.created_at AS created_at,
        callboard.job_history.finished_at AS finished_at, callboard.job_history.type AS type,
        callboard.job_history.attempt AS attempt, callboard.job_history.error AS error,
        callboard.job_history.deleted AS deleted
    FROM callboard.job_history
    WHERE callboard.job_history.status = $1::VARCHAR
        AND callboard.job_history.finished_at >= $2::TIMESTAMP WITH TIME ZONE
        AND callboard.job_history.finished_at < $3::TIMESTAMP WITH TIME ZONE
        AND callboard.job_history.created_at < $4::TIMESTAMP WITH TIME ZONE
    ORDER BY callboard.job_history.finished_at DESC
    LIMIT $5::INTEGER
)

SELECT
    failure.type, failure.reason, failure.error_type, failure.message, count(*) AS jobs,
    min(failure.finished_at) AS first_seen, max(failure.finished_at) AS last_seen,
    (array_agg(failure.id ORDER BY failure.finished_at DESC) FILTER (WHERE NOT failure.deleted))[$6::INTEGER] AS example
        ,
    CAST(sum(count(*)) OVER () AS INTEGER) AS counted
FROM (
    SELECT
        failed.id AS id, failed.finished_at AS finished_at, failed.type AS type, failed.deleted AS deleted,
        coalesce(failed.error ->> $7::VARCHAR, attempts.reason) AS reason,
        coalesce(failed.error ->> $8::VARCHAR, attempts.error_type) AS error_type,
        regexp_replace(left(failed.error ->> $9::VARCHAR, $10::INTEGER), $11::VARCHAR, $12::VARCHAR, $13::VARCHAR)
            AS message
    FROM failed
    LEFT OUTER JOIN LATERAL (
        SELECT callboard.job_attempts.reason AS reason, callboard.job_attempts.error_type AS error_type
        FROM callboard.job_attempts
        WHERE failed.deleted
            AND callboard.job_attempts.job_id = failed.id
            AND callboard.job_attempts.created_at = failed.created_at
            AND callboard.job_attempts.attempt = failed.attempt
        LIMIT $14::INTEGER
    ) AS attempts ON true
) AS failure
GROUP BY failure.type, failure.reason, failure.error_type, failure.message
ORDER BY jobs DESC, max(failure.finished_at) DESC
LIMIT $15::INTEGER;
