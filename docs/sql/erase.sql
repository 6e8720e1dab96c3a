-- erase (db/transitions/erasing.py)
--
-- Erase payload, result, errors, progress and checkpoints of a finished job, and hide it from lists and polls.
--
-- Returns False when the job is live, unknown, or hidden already.
--
-- From: terminal. To: the same, without its contents.
--
-- Called by: api/jobs.
--
-- erase_all (db/transitions/erasing.py)
--
-- erase each of these jobs; return those that this call has erased.
--
-- Called by: db, db/history/retention.
--
-- Some of it is also sent by: sweep.

-- Statement 1.
--   $1  rowset      character varying
--   $2  revision_1  integer                   1
--   $3  param_1     boolean                   true
--   $4  first       timestamp with time zone
--   $5  last        timestamp with time zone
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.created_at AS created_at
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID, created_at TIMESTAMP WITH TIME ZONE)
),

held AS MATERIALIZED (
    SELECT found.id AS id, found.created_at AS created_at
    FROM rowset
    JOIN LATERAL (
        SELECT callboard.job_history.id AS id, callboard.job_history.created_at AS created_at
        FROM callboard.job_history
        WHERE callboard.job_history.id = rowset.id
            AND callboard.job_history.created_at = rowset.created_at
            AND callboard.job_history.deleted IS false
        FOR UPDATE
    ) AS found ON true
),

erased AS (
    UPDATE callboard.job_history
    SET
        payload=NULL, revision=(callboard.job_history.revision + $2::INTEGER), progress=NULL, error=NULL, result=NULL,
        erased_at=coalesce(callboard.job_history.erased_at, now()), deleted=$3
    FROM held
    WHERE callboard.job_history.id = held.id
        AND callboard.job_history.created_at = held.created_at
        AND callboard.job_history.created_at BETWEEN $4::TIMESTAMP WITH TIME ZONE
        AND $5::TIMESTAMP WITH TIME ZONE
    RETURNING callboard.job_history.id, callboard.job_history.created_at
),

attempts AS (
    UPDATE callboard.job_attempts
    SET error_message=NULL, traceback=NULL
    FROM erased
    WHERE callboard.job_attempts.job_id = erased.id AND callboard.job_attempts.created_at = erased.created_at
    RETURNING callboard.job_attempts.attempt
),

reports AS (
    DELETE FROM callboard.job_progress
    USING erased
    WHERE callboard.job_progress.job_id = erased.id AND callboard.job_progress.created_at = erased.created_at
    RETURNING callboard.job_progress.seq
),

checkpoints AS (
    DELETE FROM callboard.job_checkpoints
    USING erased
    WHERE callboard.job_checkpoints.job_id = erased.id
    RETURNING callboard.job_checkpoints.key
)

SELECT erased.id
FROM erased;
