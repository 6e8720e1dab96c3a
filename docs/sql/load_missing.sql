-- load_missing (db/transitions/loading.py)
--
-- Store those finished jobs whose ids no live or finished job has; return how many were stored.
--
-- From no job; to succeeded, failed, cancelled or expired. Rows have HISTORY_COLUMNS by name, and the order of
-- load. They get no attempts.
--
-- From: no job. To: terminal.
--
-- Called by: callboard/history_import.

-- Statement 1.
CREATE TEMPORARY TABLE arriving (LIKE callboard.job_history INCLUDING DEFAULTS) ON COMMIT DROP;

-- Statement 2.
COPY "arriving" (
    "id", "created_at", "type", "queue", "status", "priority", "owner", "payload", "tags", "attempt", "retries",
    "max_retries", "time_limit", "revision", "scheduled_at", "started_at", "attempt_started_at", "worker_id", "worker",
    "error", "finished_at", "result"
)
FROM STDIN;

-- Statement 3.
INSERT INTO callboard.job_history (
    id, created_at, type, queue, status, priority, owner, payload, tags, attempt, retries, max_retries, time_limit,
    revision, scheduled_at, started_at, attempt_started_at, worker_id, worker, error, finished_at, result
)
SELECT
    arriving.id, arriving.created_at, arriving.type, arriving.queue, arriving.status, arriving.priority, arriving.owner,
    arriving.payload, arriving.tags, arriving.attempt, arriving.retries, arriving.max_retries, arriving.time_limit,
    arriving.revision, arriving.scheduled_at, arriving.started_at, arriving.attempt_started_at, arriving.worker_id,
    arriving.worker, arriving.error, arriving.finished_at, arriving.result
FROM arriving
WHERE NOT (EXISTS (SELECT callboard.jobs.id FROM callboard.jobs WHERE callboard.jobs.id = arriving.id))
ON CONFLICT DO NOTHING;
