-- heartbeat (db/fleet/workers.py)
--
-- Record that this worker is alive, in state; return False if it was declared lost and has lost its jobs.
--
-- Called by: actors/worker_process.

-- Statement 1.
--   $1  new_state  character varying
--   $2  boot_id    uuid
--   $3  state_1_1  character varying  'running'
--   $4  state_1_2  character varying  'draining'
UPDATE callboard.workers
SET state=$1::VARCHAR, last_seen_at=now()
WHERE callboard.workers.id = $2::UUID AND callboard.workers.state IN ($3::VARCHAR, $4::VARCHAR)
RETURNING callboard.workers.id;
