-- freeze (db/history/rollups/following.py)
--
-- Leave the numbers of all hours that end by before as they are, as some of their history is about to go.
--
-- For retention, in the transaction that drops it: the rollups remember what the history does not. What is noted of
-- these hours and was not counted by then is not counted any more.
--
-- Called by: db/history/retention.
--
-- Some of it is also sent by: follow, recount_next.

-- As before: statement 1 of follow.sql.

-- Statement 1.
--   $1  frozen_before  timestamp with time zone
UPDATE callboard.history_rollup_state
SET frozen_before=$1::TIMESTAMP WITH TIME ZONE;
