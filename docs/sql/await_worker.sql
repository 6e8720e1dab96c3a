-- await_worker (db/transitions/awaiting.py)
--
-- Have jobs wait for a worker that knows their type, for grace seconds in all; then fail them.
--
-- From queued, by a worker that got the message of an attempt and cannot start it; to blocked, due again after a pause
-- that grows from try to try, or to failed. No attempt is started and no retry is spent. Returns what this call has
-- changed; the others had moved on.
--
-- From: queued, its type unknown to the worker. To: blocked; failed once the grace is over.
--
-- Called by: actors/execution.

-- Statement 1.
--   $1   revision_1     integer            1
--   $2   param_1        boolean            false
--   $3   param_2        character varying  'failed'
--   $4   rowset         character varying
--   $5   waiting_for_1  text               'attempt'
--   $6   attempt_1      integer            1
--   $7   waiting_for_2  text               'since'
--   $8   timezone_1     character varying  'UTC'
--   $9   to_char_1      character varying  'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
--   $10  grace          double precision
--   $11  waiting_for_3  text               'tries'
--   $12  param_3        integer            0
--   $13  param_4        integer            1
--   $14  attempt_2      integer            1
--   $15  status_1       character varying  'queued'
--   $16  left_1         integer            0
--   $17  param_5        character varying  'reason'
--   $18  param_6        text               'unknown_type'
--   $19  param_7        character varying  'type'
--   $20  param_8        character varying  'UnknownJobType'
--   $21  param_9        character varying  'message'
--   $22  param_10       character varying  'No worker that took this job knew its type ''%s'', for %s s. Does CA…
--   $23  param_11       character varying  'attempt'
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.attempt AS attempt
    FROM json_to_recordset(CAST($4::VARCHAR AS JSON)) AS anon_1(id UUID, attempt INTEGER)
),

met AS (
    SELECT found.id AS id, found.since AS since, found."left" AS "left", found.tries AS tries
    FROM rowset
    JOIN LATERAL (
        SELECT
            callboard.jobs.id AS id,
            CASE
                WHEN (CAST((callboard.jobs.waiting_for ->> $5::TEXT) AS INTEGER) = callboard.jobs.attempt + $6::INTEGER)
                    THEN CAST((callboard.jobs.waiting_for ->> $7::TEXT) AS VARCHAR)
                ELSE to_char(timezone($8::VARCHAR, now()), $9::VARCHAR)
            END AS since,
            CAST($10 AS DOUBLE PRECISION) - EXTRACT(
                epoch
                FROM now() - CAST(
                    CASE
                        WHEN (
                            CAST((callboard.jobs.waiting_for ->> $5::TEXT) AS INTEGER) = callboard.jobs.attempt +
                                $6::INTEGER
                        ) THEN CAST((callboard.jobs.waiting_for ->> $7::TEXT) AS VARCHAR)
                        ELSE to_char(timezone($8::VARCHAR, now()), $9::VARCHAR)
                    END AS TIMESTAMP WITH TIME ZONE
                )
            ) AS "left",
            CASE
                WHEN (CAST((callboard.jobs.waiting_for ->> $5::TEXT) AS INTEGER) = callboard.jobs.attempt + $6::INTEGER)
                    THEN CAST((callboard.jobs.waiting_for ->> $11::TEXT) AS INTEGER)
                ELSE $12::INTEGER
            END + $13::INTEGER AS tries
        FROM callboard.jobs
        WHERE callboard.jobs.id = rowset.id
            AND callboard.jobs.attempt = rowset.attempt - $14::INTEGER
            AND callboard.jobs.status = $15::VARCHAR
        FOR UPDATE
    ) AS found ON true
),

"over" AS (
    SELECT met.id AS id
    FROM met
    WHERE met."left" <= $16::INTEGER
),

gone AS (
    DELETE FROM callboard.jobs
    WHERE callboard.jobs.id = ANY (array((SELECT "over".id FROM "over")))
    RETURNING
        callboard.jobs.id, callboard.jobs.created_at, callboard.jobs.type, callboard.jobs.status, callboard.jobs.owner,
        callboard.jobs.payload, callboard.jobs.queue, callboard.jobs.priority, callboard.jobs.scheduled_at,
        callboard.jobs.expires_at, callboard.jobs.time_limit, callboard.jobs.max_retries, callboard.jobs.tags,
        callboard.jobs.unique_key, callboard.jobs.result_ttl, callboard.jobs.parent_id, callboard.jobs.attempt,
        callboard.jobs.retries, callboard.jobs.revision, callboard.jobs.started_at, callboard.jobs.attempt_started_at,
        callboard.jobs.cancel_requested_at, callboard.jobs.worker_id, callboard.jobs.worker, callboard.jobs.progress,
        callboard.jobs.error, callboard.jobs.waiting_for, callboard.jobs.batch_id, callboard.jobs.fairness_key,
        callboard.jobs.concurrency_key, callboard.jobs.webhook_url, callboard.jobs.traceparent, callboard.jobs.due_at,
        callboard.jobs.queued_at, callboard.jobs.dispatched_at,
        jsonb_build_object(
            CAST($17::VARCHAR AS TEXT), CAST($18 AS TEXT), CAST($19::VARCHAR AS TEXT), CAST($20::VARCHAR AS TEXT),
            CAST($21::VARCHAR AS TEXT),
            format(CAST($22::VARCHAR AS TEXT), callboard.jobs.type, CAST($10 AS DOUBLE PRECISION), callboard.jobs.queue)
                ,
            CAST($23::VARCHAR AS TEXT), callboard.jobs.attempt
        ) AS new_error,
        (SELECT met.tries FROM met WHERE met.id = callboard.jobs.id) AS tries
),

kept AS (
    INSERT INTO callboard.job_history (
        id, created_at, type, owner, payload, queue, priority, scheduled_at, expires_at, time_limit, max_retries, tags,
        unique_key, result_ttl, parent_id, attempt, retries, revision, started_at, attempt_started_at,
        cancel_requested_at, worker_id, worker, progress, error, waiting_for, batch_id, fairness_key, concurrency_key,
        webhook_url, traceparent, finished_at, result, erased_at, deleted, status
    )
    SELECT
        gone.id AS id, gone.created_at AS created_at, gone.type AS type, gone.owner AS owner, gone.payload AS payload,
        gone.queue AS queue, gone.priority AS priority, gone.scheduled_at AS scheduled_at,
        gone.expires_at AS expires_at, gone.time_limit AS time_limit, gone.max_retries AS max_retries,
        gone.tags AS tags, gone.unique_key AS unique_key, gone.result_ttl AS result_ttl, gone.parent_id AS parent_id,
        gone.attempt AS attempt, gone.retries AS retries, gone.revision + $1::INTEGER AS revision,
        gone.started_at AS started_at, gone.attempt_started_at AS attempt_started_at,
        gone.cancel_requested_at AS cancel_requested_at, gone.worker_id AS worker_id, gone.worker AS worker,
        gone.progress AS progress, gone.new_error AS error, gone.waiting_for AS waiting_for, gone.batch_id AS batch_id,
        gone.fairness_key AS fairness_key, gone.concurrency_key AS concurrency_key, gone.webhook_url AS webhook_url,
        gone.traceparent AS traceparent, now() AS finished_at, NULL AS result, NULL AS erased_at, $2 AS deleted,
        $3::VARCHAR AS status
    FROM gone
)

SELECT gone.id, gone.type, gone.queue, gone.tries
FROM gone;

-- Statement 2.
--   $1   status           character varying  'blocked'
--   $2   revision_1       integer            1
--   $3   param_1          character varying  'kind'
--   $4   param_2          character varying  'worker'
--   $5   param_3          character varying  'type'
--   $6   param_4          character varying  'since'
--   $7   rowset           character varying
--   $8   waiting_for_1    text               'attempt'
--   $9   attempt_1        integer            1
--   $10  waiting_for_2    text               'since'
--   $11  timezone_1       character varying  'UTC'
--   $12  to_char_1        character varying  'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
--   $13  grace            double precision
--   $14  waiting_for_3    text               'tries'
--   $15  param_5          integer            0
--   $16  param_6          integer            1
--   $17  attempt_2        integer            1
--   $18  status_1         character varying  'queued'
--   $19  param_7          character varying  'tries'
--   $20  param_8          character varying  'attempt'
--   $21  attempt_3        integer            1
--   $22  make_interval_1  integer            0
--   $23  make_interval_2  integer            0
--   $24  make_interval_3  integer            0
--   $25  make_interval_4  integer            0
--   $26  make_interval_5  integer            0
--   $27  make_interval_6  integer            0
--   $28  state_1          character varying  'running'
--   $29  param_9          double precision   5.0
--   $30  param_10         double precision   300.0
--   $31  param_11         double precision   1.0
--   $32  param_12         double precision   2.0
--   $33  tries_1          integer            1
--   $34  least_1          integer            10
--   $35  param_13         double precision   1.0
--   $36  param_14         integer            2
--   $37  left_1           integer            0
--   $38  waiting_for_4    text               'tries'
WITH rowset AS MATERIALIZED (
    SELECT anon_1.id AS id, anon_1.attempt AS attempt
    FROM json_to_recordset(CAST($7::VARCHAR AS JSON)) AS anon_1(id UUID, attempt INTEGER)
),

met AS (
    SELECT found.id AS id, found.since AS since, found."left" AS "left", found.tries AS tries
    FROM rowset
    JOIN LATERAL (
        SELECT
            callboard.jobs.id AS id,
            CASE
                WHEN (CAST((callboard.jobs.waiting_for ->> $8::TEXT) AS INTEGER) = callboard.jobs.attempt + $9::INTEGER)
                    THEN CAST(callboard.jobs.waiting_for ->> $10::TEXT AS VARCHAR)
                ELSE to_char(timezone($11::VARCHAR, now()), $12::VARCHAR)
            END AS since,
            CAST($13 AS DOUBLE PRECISION) - EXTRACT(
                epoch
                FROM now() - CAST(
                    CASE
                        WHEN (
                            CAST((callboard.jobs.waiting_for ->> $8::TEXT) AS INTEGER) = callboard.jobs.attempt +
                                $9::INTEGER
                        ) THEN CAST((callboard.jobs.waiting_for ->> $10::TEXT) AS VARCHAR)
                        ELSE to_char(timezone($11::VARCHAR, now()), $12::VARCHAR)
                    END AS TIMESTAMP WITH TIME ZONE
                )
            ) AS "left",
            CASE
                WHEN (CAST((callboard.jobs.waiting_for ->> $8::TEXT) AS INTEGER) = callboard.jobs.attempt + $9::INTEGER)
                    THEN CAST((callboard.jobs.waiting_for ->> $14::TEXT) AS INTEGER)
                ELSE $15::INTEGER
            END + $16::INTEGER AS tries
        FROM callboard.jobs
        WHERE callboard.jobs.id = rowset.id
            AND callboard.jobs.attempt = rowset.attempt - $17::INTEGER
            AND callboard.jobs.status = $18::VARCHAR
        FOR UPDATE
    ) AS found ON true
),

still AS (
    SELECT met.id AS id
    FROM met
    WHERE met."left" > $37::INTEGER
)

UPDATE callboard.jobs
SET
    status=$1::VARCHAR, revision=(callboard.jobs.revision + $2::INTEGER),
    waiting_for=jsonb_build_object(
        CAST($3::VARCHAR AS TEXT), CAST($4::VARCHAR AS TEXT), CAST($5::VARCHAR AS TEXT), callboard.jobs.type,
        CAST($6::VARCHAR AS TEXT), (SELECT met.since FROM met WHERE met.id = callboard.jobs.id),
        CAST($19::VARCHAR AS TEXT), (SELECT met.tries FROM met WHERE met.id = callboard.jobs.id),
        CAST($20::VARCHAR AS TEXT), callboard.jobs.attempt + $21::INTEGER
    ),
    due_at=(
        now() + make_interval(
            $22::INTEGER, $23::INTEGER, $24::INTEGER, $25::INTEGER, $26::INTEGER, $27::INTEGER,
            least(
                (SELECT met."left" FROM met WHERE met.id = callboard.jobs.id),
                least(
                    CASE
                        WHEN (
                            EXISTS (
                                SELECT callboard.workers.id
                                FROM callboard.workers
                                WHERE callboard.workers.state = $28::VARCHAR
                                    AND callboard.jobs.type = ANY (callboard.workers.types)
                            )
                        ) THEN CAST($29 AS DOUBLE PRECISION)
                        ELSE CAST($30 AS DOUBLE PRECISION)
                    END,
                     (
                        SELECT CAST($31 AS DOUBLE PRECISION) * power(
                            CAST($32 AS DOUBLE PRECISION),
                            CAST(least(met.tries - $33::INTEGER, $34::INTEGER) AS DOUBLE PRECISION)
                        ) AS anon_2
                        FROM met
                        WHERE met.id = callboard.jobs.id
                    )
                ) * (
                    CAST($35 AS DOUBLE PRECISION) - random() / CAST(
                        CAST($36::INTEGER AS DOUBLE PRECISION) AS DOUBLE PRECISION
                    )
                )
            )
        )
    ),
    queued_at=NULL, dispatched_at=NULL
WHERE callboard.jobs.id = ANY (array((SELECT still.id FROM still)))
RETURNING
    callboard.jobs.id, callboard.jobs.type, callboard.jobs.queue,
    CAST(callboard.jobs.waiting_for ->> $38::TEXT AS INTEGER) AS tries;
