-- declare_dead (db/fleet/workers.py)
--
-- Declare a worker lost at once. The caller has seen its process end, on this host.
--
-- Called by: callboard/processes.

-- Statement 1.
--   $1  state      character varying  'lost'
--   $2  host_1     character varying  'host'
--   $3  pid_1      integer            1
--   $4  state_1_1  character varying  'running'
--   $5  state_1_2  character varying  'draining'
UPDATE callboard.workers
SET state=$1::VARCHAR
WHERE callboard.workers.host = $2::VARCHAR
    AND callboard.workers.pid = $3::INTEGER
    AND callboard.workers.state IN ($4::VARCHAR, $5::VARCHAR);
