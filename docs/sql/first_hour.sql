-- first_hour (db/history/rollups/following.py)
--
-- Return a time before which no job in the history or the rollups finished; None when there are no jobs.
--
-- Called by: callboard/cli/commands.

-- Statement 1.
--   $1  param_1  integer            1
--   $2  grain_1  character varying  'hour'
--   $3  param_2  integer            1
SELECT min(anon_1.created_at) AS min_1
FROM (
    SELECT anon_2.created_at AS created_at
    FROM (
        SELECT callboard.job_history.created_at AS created_at
        FROM callboard.job_history
        ORDER BY callboard.job_history.id
        LIMIT $1::INTEGER
    ) AS anon_2
    UNION ALL
    SELECT anon_3.starts_at AS starts_at
    FROM (
        SELECT callboard.history_rollup.starts_at AS starts_at
        FROM callboard.history_rollup
        WHERE callboard.history_rollup.grain = $2::VARCHAR
        ORDER BY callboard.history_rollup.starts_at
        LIMIT $3::INTEGER
    ) AS anon_3
) AS anon_1;
