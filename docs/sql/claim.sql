-- claim (db/transitions/starting.py)
--
-- Start these attempts on this worker, if their jobs still wait for them; return what was started.
--
-- From queued, by the worker that holds the message; to running. The message of an attempt that is missing from the
-- result is to be dropped: its job is in another state or past expires_at, or without a mark in a queue whose
-- concurrency limit counts these (it is sent again); its queue is paused, or this worker was declared lost.
--
-- From: queued. To: running.
--
-- Some of it is also sent by: record_and_claim.

-- Statement 1.
--   $1   status       character varying  'running'
--   $2   attempt_1    integer            1
--   $3   revision_1   integer            1
--   $4   claimed_by   uuid
--   $5   worker_name  character varying
--   $6   rowset       character varying
--   $7   attempt_2    integer            1
--   $8   status_1     character varying  'queued'
--   $9   state_1      character varying  'running'
--   $10  state_2      character varying  'draining'
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.attempt AS attempt
    FROM json_to_recordset(CAST($6::VARCHAR AS JSON)) AS anon_1(id UUID, attempt INTEGER)
),

claimable AS (
    SELECT found.id AS id
    FROM rowset
    JOIN LATERAL (
        SELECT callboard.jobs.id AS id
        FROM callboard.jobs
        WHERE callboard.jobs.id = rowset.id
            AND callboard.jobs.attempt = rowset.attempt - $7::INTEGER
            AND callboard.jobs.status = $8::VARCHAR
            AND (
                callboard.jobs.expires_at IS NULL
                OR callboard.jobs.expires_at > now()
                OR callboard.jobs.started_at IS NOT NULL
            )
            AND callboard.jobs.queue != ALL (
                array((SELECT callboard.queues.name FROM callboard.queues WHERE callboard.queues.paused))
            )
            AND (
                callboard.jobs.dispatched_at IS NOT NULL
                OR callboard.jobs.queue != ALL (
                    array(
                        (
                            SELECT callboard.queues.name
                            FROM callboard.queues
                            WHERE callboard.queues.concurrency_limit IS NOT NULL
                        )
                    )
                )
            )
            AND (
                EXISTS (
                    SELECT callboard.workers.id
                    FROM callboard.workers
                    WHERE callboard.workers.id = $4::UUID
                        AND (callboard.workers.state = $9::VARCHAR OR callboard.workers.state = $10::VARCHAR)
                )
            )
        FOR UPDATE OF jobs
    ) AS found ON true
)

UPDATE callboard.jobs
SET
    status=$1::VARCHAR, attempt=(callboard.jobs.attempt + $2::INTEGER),
    revision=(callboard.jobs.revision + $3::INTEGER), started_at=coalesce(callboard.jobs.started_at, now()),
    attempt_started_at=now(), worker_id=$4::UUID, worker=$5::VARCHAR, progress=NULL,
    dispatched_at=coalesce(callboard.jobs.dispatched_at, now())
WHERE callboard.jobs.id = ANY (array((SELECT claimable.id FROM claimable)))
RETURNING
    callboard.jobs.id, callboard.jobs.attempt, callboard.jobs.created_at, callboard.jobs.type, callboard.jobs.queue,
    callboard.jobs.owner, CAST(callboard.jobs.payload AS TEXT) AS payload, callboard.jobs.priority,
    callboard.jobs.retries, callboard.jobs.max_retries, callboard.jobs.time_limit,
    callboard.jobs.attempt_started_at AS started_at,
    coalesce(callboard.jobs.queued_at, greatest(callboard.jobs.created_at, callboard.jobs.scheduled_at)) AS due_since;
