-- ensure_queues (db/dispatching/queues.py)
--
-- Make the queues that do not exist yet, unpaused and without limits.
--
-- Called by: actors/worker_process, api/database, api/jobs, api/system.

-- Case: two.

-- Statement 1.
--   $1  name_m0  character varying  'one'
--   $2  name_m1  character varying  'two'
INSERT INTO callboard.queues (name)
VALUES ($1::VARCHAR), ($2::VARCHAR)
ON CONFLICT DO NOTHING;
