-- read_workforce (db/fleet/workers.py)
--
-- Return how many workers take jobs: those that are not draining, and were seen within lease_ttl seconds.
--
-- Called by: api/system.

-- Statement 1.
--   $1  coalesce_1       integer            0
--   $2  state_1          character varying  'running'
--   $3  make_interval_1  integer            0
--   $4  make_interval_2  integer            0
--   $5  make_interval_3  integer            0
--   $6  make_interval_4  integer            0
--   $7  make_interval_5  integer            0
--   $8  make_interval_6  integer            0
--   $9  ttl              double precision
SELECT count(callboard.workers.id) AS workers, coalesce(sum(callboard.workers.threads), $1::INTEGER) AS threads
FROM callboard.workers
WHERE callboard.workers.state = $2::VARCHAR
    AND callboard.workers.last_seen_at > now() - make_interval(
        $3::INTEGER, $4::INTEGER, $5::INTEGER, $6::INTEGER, $7::INTEGER, $8::INTEGER, $9
    );

-- Statement 2.
--   $1  coalesce_1       integer            0
--   $2  state_1          character varying  'running'
--   $3  make_interval_1  integer            0
--   $4  make_interval_2  integer            0
--   $5  make_interval_3  integer            0
--   $6  make_interval_4  integer            0
--   $7  make_interval_5  integer            0
--   $8  make_interval_6  integer            0
--   $9  ttl              double precision
SELECT
    callboard.queues.name AS queue, callboard.queues.paused, count(callboard.workers.id) AS workers,
    coalesce(sum(callboard.workers.threads), $1::INTEGER) AS threads
FROM callboard.queues
LEFT OUTER JOIN callboard.workers ON callboard.queues.name = ANY (callboard.workers.queues)
    AND callboard.workers.state = $2::VARCHAR
    AND callboard.workers.last_seen_at > now() - make_interval(
        $3::INTEGER, $4::INTEGER, $5::INTEGER, $6::INTEGER, $7::INTEGER, $8::INTEGER, $9
    )
GROUP BY callboard.queues.name, callboard.queues.paused
ORDER BY callboard.queues.name;
