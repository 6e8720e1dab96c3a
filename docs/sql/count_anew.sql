-- count_anew (db/history/rollups/following.py)
--
-- Make the time from since to until pending, both included: the jobs that finished then are recounted.
--
-- Called by: callboard/cli/commands, callboard/history_generator, callboard/history_import.
--
-- Some of it is also sent by: follow.

-- As before: statement 3 of follow.sql.
