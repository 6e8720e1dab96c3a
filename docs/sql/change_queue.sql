-- change_queue (db/dispatching/queues.py)
--
-- Change a queue's settings; they act on what waits in it at once. False when there is no such queue.
--
-- When a queue stops being paused, jobs whose messages workers have dropped meanwhile are dispatched again.
--
-- Called by: api/system.

-- Case: paused.

-- Statement 1.
--   $1  paused  boolean            true
--   $2  name_1  character varying  'default'
UPDATE callboard.queues
SET paused=$1, updated_at=now()
WHERE callboard.queues.name = $2::VARCHAR;
