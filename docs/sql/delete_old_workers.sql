-- delete_old_workers (db/fleet/expired_rows.py)
--
-- Delete worker boots that ended a week ago and have no running job; return how many. History keeps their names.
--
-- Called by: actors/maintenance.

-- Statement 1.
--   $1  state_1_1        character varying  'running'
--   $2  state_1_2        character varying  'draining'
--   $3  make_interval_1  integer            0
--   $4  make_interval_2  integer            0
--   $5  make_interval_3  integer            0
--   $6  make_interval_4  integer            7
DELETE FROM callboard.workers
WHERE (callboard.workers.state NOT IN ($1::VARCHAR, $2::VARCHAR))
    AND callboard.workers.last_seen_at < now() - make_interval($3::INTEGER, $4::INTEGER, $5::INTEGER, $6::INTEGER)
    AND NOT (
        EXISTS (
            SELECT callboard.jobs.id
            FROM callboard.jobs
            WHERE callboard.jobs.worker_id = callboard.workers.id AND callboard.jobs.dispatched_at IS NOT NULL
        )
    );
