-- report_progress (db/attempt/progress.py)
--
-- Store progress reports, at most one for each job. Those of attempts that do not run any more are dropped.
--
-- Called by: actors/execution.

-- Statement 1.
--   $1  rowset                character varying
--   $2  status_1              character varying  'running'
--   $3  revision_1            integer            1
--   $4  jsonb_build_object_1  character varying  'updated_at'
--   $5  timezone_1            character varying  'UTC'
--   $6  to_char_1             character varying  'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
WITH rowset AS MATERIALIZED (
    SELECT
        anon_1.id AS id, anon_1.attempt AS attempt, anon_1.seq AS seq, anon_1.current AS current, anon_1.total AS total,
        anon_1.step AS step, anon_1.message AS message, anon_1.progress AS progress
    FROM json_to_recordset(CAST($1::VARCHAR AS JSON)) AS anon_1(
        id UUID, attempt INTEGER, seq INTEGER, current DOUBLE PRECISION, total DOUBLE PRECISION, step TEXT,
        message TEXT, progress TEXT
    )
),

accepted AS (
    SELECT found.id AS id, rowset.progress AS progress
    FROM rowset
    JOIN LATERAL (
        SELECT callboard.jobs.id AS id
        FROM callboard.jobs
        WHERE callboard.jobs.id = rowset.id
            AND callboard.jobs.attempt = rowset.attempt
            AND callboard.jobs.status = $2::VARCHAR
        FOR UPDATE
    ) AS found ON true
),

updated AS (
    UPDATE callboard.jobs
    SET
        revision=(callboard.jobs.revision + $3::INTEGER),
        progress=(
            (SELECT CAST(accepted.progress AS JSONB) AS progress FROM accepted WHERE accepted.id = callboard.jobs.id) ||
                jsonb_build_object($4::VARCHAR, to_char(timezone($5::VARCHAR, now()), $6::VARCHAR))
        )
    WHERE callboard.jobs.id = ANY (array((SELECT accepted.id FROM accepted)))
    RETURNING callboard.jobs.id, callboard.jobs.created_at, callboard.jobs.attempt
)

INSERT INTO callboard.job_progress (job_id, created_at, attempt, seq, reported_at, current, total, step, message)
SELECT
    updated.id, updated.created_at, rowset.attempt, rowset.seq, CAST(now() AS TIMESTAMP WITH TIME ZONE) AS now_1,
    rowset.current, rowset.total, rowset.step, rowset.message
FROM updated
JOIN rowset ON updated.id = rowset.id AND updated.attempt = rowset.attempt
ON CONFLICT DO NOTHING;
