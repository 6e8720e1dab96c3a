-- delete_settled_checkpoints (db/attempt/checkpoints.py)
--
-- Delete the checkpoints and steps of jobs that cannot run again, among the next limit jobs that have any.
--
-- Returns:
--     after for the next call; None when all have been checked.
--
-- Called by: actors/maintenance.

-- Statement 1.
--   $1  after     uuid
--   $2  limit     integer
--   $3  param_1   integer            1
--   $4  param_2   integer            1
--   $5  status_1  character varying  'succeeded'
WITH candidates AS (
    SELECT callboard.job_checkpoints.job_id AS job_id, callboard.job_checkpoints.created_at AS created_at
    FROM callboard.job_checkpoints
    WHERE callboard.job_checkpoints.job_id > $1::UUID
    GROUP BY callboard.job_checkpoints.job_id, callboard.job_checkpoints.created_at
    ORDER BY callboard.job_checkpoints.job_id
    LIMIT $2::INTEGER
),

deleted AS (
    DELETE FROM callboard.job_checkpoints
    USING candidates
    WHERE callboard.job_checkpoints.job_id = candidates.job_id
        AND NOT (EXISTS (SELECT $3::INTEGER AS anon_1 FROM callboard.jobs WHERE callboard.jobs.id = candidates.job_id))
        AND NOT (
            EXISTS (
                SELECT $4::INTEGER AS anon_2
                FROM callboard.job_history
                WHERE callboard.job_history.id = candidates.job_id
                    AND callboard.job_history.created_at = candidates.created_at
                    AND callboard.job_history.status != $5::VARCHAR
                    AND callboard.job_history.erased_at IS NULL
            )
        )
    RETURNING callboard.job_checkpoints.job_id
)

SELECT candidates.job_id
FROM candidates
ORDER BY candidates.job_id DESC;
