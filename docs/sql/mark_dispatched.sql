-- mark_dispatched (db/transitions/starting.py)
--
-- Record that these attempts' messages are in the broker, or may be from now on.
--
-- From queued; stays queued. A job that was claimed, cancelled or expired since its message was published is left
-- alone. Unless durable, the transaction's commit does not wait for the disk: if a crash of PostgreSQL undoes a
-- mark, only a message is repeated, and waiting with the marked rows locked would hold up the claims of these very
-- messages.
--
-- From: queued. To: queued, with its message in the broker.
--
-- Called by: actors/dispatch.
--
-- Some of it is also sent by: take_queues.

-- Statement 1.
--   $1  set_config_2  character varying  'synchronous_commit'
--   $2  set_config_3  character varying  'off'
--   $3  param_1       boolean            true
SELECT set_config($1::VARCHAR, $2::VARCHAR, $3) AS set_config_1;

-- Statement 2.
--   $1  rowset     character varying
--   $2  attempt_1  integer            1
--   $3  status_1   character varying  'queued'
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.attempt AS attempt
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(id UUID, attempt INTEGER)
),

in_broker AS (
    SELECT found.id AS id
    FROM rowset
    JOIN LATERAL (
        SELECT callboard.jobs.id AS id
        FROM callboard.jobs
        WHERE callboard.jobs.id = rowset.id
            AND callboard.jobs.attempt = rowset.attempt - $2::INTEGER
            AND callboard.jobs.status = $3::VARCHAR
            AND callboard.jobs.dispatched_at IS NULL
        FOR UPDATE
    ) AS found ON true
)

UPDATE callboard.jobs
SET dispatched_at=now()
WHERE callboard.jobs.id = ANY (array((SELECT in_broker.id FROM in_broker)));
