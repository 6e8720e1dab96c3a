-- change_queue (db/dispatching/queues.py)
--
-- Change a queue's settings, with effect on the jobs that wait in it; False when there is no such queue.
--
-- Jobs whose messages were dropped by workers while the queue was paused are dispatched again by reconciling.
--
-- Called by: api/system.

-- Case: paused.

-- Statement 1.
--   $1  paused  boolean            true
--   $2  name_1  character varying  'default'
UPDATE callboard.queues
SET paused=$1, updated_at=now()
WHERE callboard.queues.name = $2::VARCHAR;
