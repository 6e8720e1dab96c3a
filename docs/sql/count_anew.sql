-- count_anew (db/history/rollups/following.py)
--
-- Note that jobs which finished from since to until are to be counted anew.
--
-- Called by: callboard/cli, callboard/history_generator, callboard/history_import.
--
-- Some of it is also sent by: follow.

-- As before: statement 3 of follow.sql.
