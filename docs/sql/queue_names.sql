-- queue_names (db/dispatching/queues.py)
--
-- Return the names of all queues.
--
-- Called by: api/jobs, callboard/processes.

-- Statement 1.
SELECT callboard.queues.name
FROM callboard.queues;
