-- freeze (db/history/rollups/following.py)
--
-- Keep the numbers of all hours that end by before as they are: some of their history is about to be dropped.
--
-- For retention, in the transaction that drops it. Periods of these hours that are still pending are not recounted any
-- more.
--
-- Called by: db/history/retention.
--
-- Some of it is also sent by: follow, recount_next.

-- As before: statement 1 of follow.sql.

-- Statement 1.
--   $1  frozen_before  timestamp with time zone
UPDATE callboard.history_rollup_state
SET frozen_before=$1::TIMESTAMP WITH TIME ZONE;
