-- follow (db/history/rollups/following.py)
--
-- Make pending the times at which jobs may have finished that were not committed at the call before this one.
--
-- Called by: actors/maintenance.
--
-- Some of it is also sent by: recount_next, count_anew, freeze.

-- Case: the first time in an hour.

-- Statement 1.
SELECT
    callboard.history_rollup_state.single, callboard.history_rollup_state.followed_at,
    callboard.history_rollup_state.running, callboard.history_rollup_state.frozen_before
FROM callboard.history_rollup_state
FOR UPDATE;

-- Statement 2.
SELECT
    now() AS at, ARRAY(SELECT CAST(xid AS text) FROM pg_snapshot_xip(pg_current_snapshot()) AS xid) AS running,
    writers.began, writers.hidden
FROM (
    SELECT min(xact_start) AS began, coalesce(bool_or(state IS NULL OR state = 'disabled'), false) AS hidden
    FROM pg_stat_activity
    WHERE datname = current_database()
        AND pid <> pg_backend_pid()
        AND has_table_privilege(usesysid, 'callboard.job_history', 'INSERT')
) AS writers;

-- Statement 3.
--   $1  since  timestamp with time zone
--   $2  until  timestamp with time zone
INSERT INTO callboard.history_rollup_pending (starts_at, ends_at)
SELECT
    greatest(hour, $1::TIMESTAMP WITH TIME ZONE),
    least(hour + interval '1 hour' - interval '1 microsecond', $2::TIMESTAMP WITH TIME ZONE)
FROM generate_series(
    date_trunc('hour', CAST($1::TIMESTAMP WITH TIME ZONE AS timestamptz), 'UTC'), $2::TIMESTAMP WITH TIME ZONE,
    interval '1 hour'
) AS hour;

-- Statement 4.
--   $1  followed_at  timestamp with time zone
--   $2  running      jsonb
UPDATE callboard.history_rollup_state
SET followed_at=$1::TIMESTAMP WITH TIME ZONE, running=$2::JSONB;

-- Statement 5.
--   $1  grain_1      character varying         'minute'
--   $2  starts_at_1  timestamp with time zone
DELETE FROM callboard.history_rollup
WHERE callboard.history_rollup.grain = $1::VARCHAR
    AND callboard.history_rollup.starts_at < $2::TIMESTAMP WITH TIME ZONE;

-- Statement 6.
--   $1  grain_1      character varying         'minute'
--   $2  starts_at_1  timestamp with time zone
--   $3  dimension_1  character varying         'owner'
DELETE FROM callboard.history_rollup
WHERE callboard.history_rollup.grain = $1::VARCHAR
    AND callboard.history_rollup.starts_at < $2::TIMESTAMP WITH TIME ZONE
    AND callboard.history_rollup.owner IS NOT NULL
    AND callboard.history_rollup.dimension != $3::VARCHAR;
