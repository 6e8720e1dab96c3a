-- declare_lost (db/fleet/workers.py)
--
-- Declare the workers lost that were not seen for lease_ttl seconds; return their ids and names.
--
-- From then on their heartbeats fail and their claims find nothing, so abandoned_attempts can be rescued.
--
-- Called by: actors/maintenance, callboard/processes.

-- Statement 1.
--   $1   state            character varying  'lost'
--   $2   state_1_1        character varying  'running'
--   $3   state_1_2        character varying  'draining'
--   $4   make_interval_1  integer            0
--   $5   make_interval_2  integer            0
--   $6   make_interval_3  integer            0
--   $7   make_interval_4  integer            0
--   $8   make_interval_5  integer            0
--   $9   make_interval_6  integer            0
--   $10  ttl              double precision
UPDATE callboard.workers
SET state=$1::VARCHAR
WHERE callboard.workers.state IN ($2::VARCHAR, $3::VARCHAR)
    AND callboard.workers.last_seen_at < now() - make_interval(
        $4::INTEGER, $5::INTEGER, $6::INTEGER, $7::INTEGER, $8::INTEGER, $9::INTEGER, $10
    )
RETURNING callboard.workers.id, callboard.workers.name;
