-- current_moment (db/reads/change_feed.py)
--
-- Return the current snapshot, to read the changes after it.
--
-- Called by: api/live.

-- Statement 1.
SELECT CAST(pg_current_snapshot() AS TEXT) AS snapshot, now() AS at;
