-- current_moment (db/reads/change_feed.py)
--
-- Return the moment from which on changes are new.
--
-- Called by: api/live.

-- Statement 1.
SELECT CAST(pg_current_snapshot() AS TEXT) AS snapshot, now() AS at;
