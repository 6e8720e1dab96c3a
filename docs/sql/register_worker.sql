-- register_worker (db/fleet/workers.py)
--
-- Store a boot as running.
--
-- Called by: actors/worker_process.

-- Statement 1.
--   $1  id       uuid
--   $2  name     character varying  'host-1'
--   $3  host     character varying  'host'
--   $4  pid      integer            1
--   $5  version  character varying  '1'
--   $6  queues   text[]
--   $7  types    text[]
--   $8  threads  integer            8
--   $9  state    character varying  'running'
INSERT INTO callboard.workers (id, name, host, pid, version, queues, types, threads, state, started_at, last_seen_at)
VALUES (
    $1::UUID, $2::VARCHAR, $3::VARCHAR, $4::INTEGER, $5::VARCHAR, $6::TEXT[], $7::TEXT[], $8::INTEGER, $9::VARCHAR,
    now(), now()
);
