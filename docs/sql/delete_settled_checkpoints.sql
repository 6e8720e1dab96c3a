-- delete_settled_checkpoints (db/attempt/checkpoints.py)
--
-- Delete what up to limit jobs left that cannot run again, in the order of their ids, those after after.
--
-- Returns:
--     Where to go on; None when there are no more.
--
-- Called by: actors/maintenance.

-- Statement 1.
--   $1  after     uuid
--   $2  limit     integer
--   $3  param_1   integer            1
--   $4  param_2   integer            1
--   $5  status_1  character varying  'succeeded'
WITH looked_at AS (
    SELECT callboard.job_memos.job_id AS job_id, callboard.job_memos.created_at AS created_at
    FROM callboard.job_memos
    WHERE callboard.job_memos.job_id > $1::UUID
    GROUP BY callboard.job_memos.job_id, callboard.job_memos.created_at
    ORDER BY callboard.job_memos.job_id
    LIMIT $2::INTEGER
),

forgotten AS (
    DELETE FROM callboard.job_memos
    USING looked_at
    WHERE callboard.job_memos.job_id = looked_at.job_id
        AND NOT (EXISTS (SELECT $3::INTEGER AS anon_1 FROM callboard.jobs WHERE callboard.jobs.id = looked_at.job_id))
        AND NOT (
            EXISTS (
                SELECT $4::INTEGER AS anon_2
                FROM callboard.job_history
                WHERE callboard.job_history.id = looked_at.job_id
                    AND callboard.job_history.created_at = looked_at.created_at
                    AND callboard.job_history.status != $5::VARCHAR
                    AND callboard.job_history.erased_at IS NULL
            )
        )
    RETURNING callboard.job_memos.job_id
)

SELECT looked_at.job_id
FROM looked_at
ORDER BY looked_at.job_id DESC;
