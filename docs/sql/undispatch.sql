-- undispatch (db/transitions/starting.py)
--
-- Return jobs of a queue to the dispatcher that were not claimed within older_than seconds; return how many.
--
-- From queued; stays queued. For a queue that is empty in the broker (the messages are lost) or was paused (workers
-- dropped them). A message that exists after all is harmless: only one of two claims of one attempt succeeds.
--
-- From: queued, with its message in the broker. To: queued.
--
-- Called by: actors/dispatch, api/system.

-- Statement 1.
--   $1   dispatched_at    timestamp with time zone  NULL
--   $2   of_queue         character varying
--   $3   make_interval_1  integer                   0
--   $4   make_interval_2  integer                   0
--   $5   make_interval_3  integer                   0
--   $6   make_interval_4  integer                   0
--   $7   make_interval_5  integer                   0
--   $8   make_interval_6  integer                   0
--   $9   older_than       double precision
--   $10  status_1         character varying         'queued'
UPDATE callboard.jobs
SET dispatched_at=$1::TIMESTAMP WITH TIME ZONE
WHERE callboard.jobs.queue = $2::VARCHAR
    AND callboard.jobs.dispatched_at < now() - make_interval(
        $3::INTEGER, $4::INTEGER, $5::INTEGER, $6::INTEGER, $7::INTEGER, $8::INTEGER, $9
    )
    AND callboard.jobs.status = $10::VARCHAR
RETURNING callboard.jobs.id;
