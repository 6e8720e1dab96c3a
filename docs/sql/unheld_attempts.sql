-- unheld_attempts (db/fleet/workers.py)
--
-- Return the attempts that run on this worker according to the database, but are not among held.
--
-- A claim leaves such an attempt if it is committed and its response is lost; the worker releases it. Attempts younger
-- than older_than seconds are left out: they may have been claimed since held was collected.
--
-- Called by: actors/worker_process.

-- Statement 1.
--   $1   rowset           character varying
--   $2   status_1         character varying  'running'
--   $3   status_2         character varying  'running'
--   $4   boot_id          uuid
--   $5   make_interval_1  integer            0
--   $6   make_interval_2  integer            0
--   $7   make_interval_3  integer            0
--   $8   make_interval_4  integer            0
--   $9   make_interval_5  integer            0
--   $10  make_interval_6  integer            0
--   $11  older_than       double precision
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.attempt AS attempt
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID, attempt INTEGER)
)

SELECT callboard.jobs.id, callboard.jobs.attempt
FROM callboard.jobs
LEFT OUTER JOIN rowset ON callboard.jobs.id = rowset.id
    AND callboard.jobs.attempt = rowset.attempt
    AND callboard.jobs.status = $2::VARCHAR
WHERE callboard.jobs.dispatched_at IS NOT NULL
    AND callboard.jobs.status = $3::VARCHAR
    AND callboard.jobs.worker_id = $4::UUID
    AND callboard.jobs.attempt_started_at < now() - make_interval(
        $5::INTEGER, $6::INTEGER, $7::INTEGER, $8::INTEGER, $9::INTEGER, $10::INTEGER, $11
    )
    AND rowset.id IS NULL
ORDER BY callboard.jobs.id;
