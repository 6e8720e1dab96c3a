-- load (db/transitions/loading.py)
--
-- Store finished jobs and their attempts, all with new ids, from PostgreSQL's text format for COPY.
--
-- From no job; to succeeded, failed, cancelled or expired. An id that exists already is an error. The rows should come
-- in the order of finished_at: its block range index needs that.
--
-- From: no job. To: terminal.
--
-- Called by: callboard/history_generator.

-- Statement 1.
COPY "callboard"."job_history" (
    "id", "created_at", "type", "queue", "status", "priority", "owner", "payload", "tags", "attempt", "retries",
    "max_retries", "time_limit", "revision", "scheduled_at", "started_at", "attempt_started_at", "worker_id", "worker",
    "error", "finished_at", "result"
)
FROM STDIN;

-- Statement 2.
COPY "callboard"."job_attempts" (
    "job_id", "created_at", "attempt", "outcome", "reason", "worker_id", "worker", "started_at", "finished_at",
    "error_type", "error_message"
)
FROM STDIN;
