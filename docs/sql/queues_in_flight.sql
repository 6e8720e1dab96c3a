-- queues_in_flight (db/dispatching/due.py)
--
-- Return the queues that have dispatched or running jobs.
--
-- Called by: actors/dispatch.

-- Statement 1.
SELECT DISTINCT callboard.jobs.queue
FROM callboard.jobs
WHERE callboard.jobs.dispatched_at IS NOT NULL;
