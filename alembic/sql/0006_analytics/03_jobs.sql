CREATE VIEW analytics.jobs WITH (security_invoker = true) AS
SELECT
    id, created_at, type, queue, status, priority, owner, tags, attempt AS attempts, retries, max_retries, time_limit,
    scheduled_at, expires_at, started_at, attempt_started_at, finished_at, worker, parent_id, batch_id, deleted,
    greatest(0, extract(epoch FROM started_at - greatest(created_at, scheduled_at)))::double precision AS wait_seconds,
    extract(epoch FROM finished_at - attempt_started_at)::double precision AS run_seconds
FROM callboard.job_history;
COMMENT ON VIEW analytics.jobs IS 'Finished jobs, without what they were given and what they returned. Bound created_at, and only those months are read; bound finished_at, and an index finds the rows.';
COMMENT ON COLUMN analytics.jobs.id IS 'UUIDv7; ascends with created_at.';
COMMENT ON COLUMN analytics.jobs.created_at IS 'When it was submitted; the timestamp in the id. Months are partitions.';
COMMENT ON COLUMN analytics.jobs.type IS 'Job type.';
COMMENT ON COLUMN analytics.jobs.queue IS 'Queue it was sent through.';
COMMENT ON COLUMN analytics.jobs.status IS 'succeeded, failed, cancelled or expired.';
COMMENT ON COLUMN analytics.jobs.priority IS '0 to 9, higher first.';
COMMENT ON COLUMN analytics.jobs.owner IS 'Whose job it is.';
COMMENT ON COLUMN analytics.jobs.tags IS 'What the client labelled it with: an object of strings.';
COMMENT ON COLUMN analytics.jobs.attempts IS 'How often it was started; 0 if it never was.';
COMMENT ON COLUMN analytics.jobs.retries IS 'How many of its retries were spent.';
COMMENT ON COLUMN analytics.jobs.max_retries IS 'How many it had.';
COMMENT ON COLUMN analytics.jobs.time_limit IS 'Longest run of one attempt, in seconds.';
COMMENT ON COLUMN analytics.jobs.scheduled_at IS 'When it was to start at the earliest; NULL: at once.';
COMMENT ON COLUMN analytics.jobs.expires_at IS 'When it was to be given up unless it had started; NULL: never.';
COMMENT ON COLUMN analytics.jobs.started_at IS 'When its first attempt started; NULL if none did.';
COMMENT ON COLUMN analytics.jobs.attempt_started_at IS 'When its last attempt started; NULL if it ended while it waited.';
COMMENT ON COLUMN analytics.jobs.finished_at IS 'When it came to its end.';
COMMENT ON COLUMN analytics.jobs.worker IS 'Name of the worker process that ran its last attempt.';
COMMENT ON COLUMN analytics.jobs.parent_id IS 'The job that submitted it, if one did.';
COMMENT ON COLUMN analytics.jobs.batch_id IS 'The batch it was submitted in, if it was.';
COMMENT ON COLUMN analytics.jobs.deleted IS 'True: a client or a retention rule erased what it held; this row stays for the numbers.';
COMMENT ON COLUMN analytics.jobs.wait_seconds IS 'Seconds from when it was due (created or scheduled) to its first start; NULL if it never started.';
COMMENT ON COLUMN analytics.jobs.run_seconds IS 'Seconds that its last attempt ran; NULL if it ended while it waited.';

CREATE VIEW analytics.attempts WITH (security_invoker = true) AS
SELECT
    job_id, created_at, attempt, outcome, reason, error_type, worker_id, worker, started_at, finished_at,
    extract(epoch FROM finished_at - started_at)::double precision AS run_seconds
FROM callboard.job_attempts;
COMMENT ON VIEW analytics.attempts IS 'Attempts that ended, without the words of their errors.';
COMMENT ON COLUMN analytics.attempts.job_id IS 'The job; with created_at it joins analytics.jobs.';
COMMENT ON COLUMN analytics.attempts.created_at IS 'When the job was submitted. Months are partitions.';
COMMENT ON COLUMN analytics.attempts.attempt IS 'Its number, from 1.';
COMMENT ON COLUMN analytics.attempts.outcome IS 'succeeded, failed, cancelled or released (handed back by a worker that shut down).';
COMMENT ON COLUMN analytics.attempts.reason IS 'Why it did not succeed: exception, time_limit, worker_lost, cancelled, invalid_payload or unknown_type.';
COMMENT ON COLUMN analytics.attempts.error_type IS 'Name of the exception.';
COMMENT ON COLUMN analytics.attempts.worker_id IS 'The start of a worker process that ran it.';
COMMENT ON COLUMN analytics.attempts.worker IS 'Name of that worker process.';
COMMENT ON COLUMN analytics.attempts.started_at IS 'When it started.';
COMMENT ON COLUMN analytics.attempts.finished_at IS 'When it ended.';
COMMENT ON COLUMN analytics.attempts.run_seconds IS 'Seconds that it ran.';

CREATE VIEW analytics.live_jobs WITH (security_invoker = true) AS
SELECT
    id, created_at, type, queue, status, priority, owner, tags, attempt AS attempts, retries, max_retries, scheduled_at,
    nullif(due_at, 'infinity') AS due_at, started_at, attempt_started_at, worker
FROM callboard.jobs;
COMMENT ON VIEW analytics.live_jobs IS 'Jobs that are not finished yet, as they are now.';
COMMENT ON COLUMN analytics.live_jobs.id IS 'UUIDv7; ascends with created_at.';
COMMENT ON COLUMN analytics.live_jobs.created_at IS 'When it was submitted.';
COMMENT ON COLUMN analytics.live_jobs.type IS 'Job type.';
COMMENT ON COLUMN analytics.live_jobs.queue IS 'Queue it waits in, or was sent through.';
COMMENT ON COLUMN analytics.live_jobs.status IS 'blocked, scheduled, queued, running or retrying.';
COMMENT ON COLUMN analytics.live_jobs.priority IS '0 to 9, higher first.';
COMMENT ON COLUMN analytics.live_jobs.owner IS 'Whose job it is.';
COMMENT ON COLUMN analytics.live_jobs.tags IS 'What the client labelled it with: an object of strings.';
COMMENT ON COLUMN analytics.live_jobs.attempts IS 'How often it was started.';
COMMENT ON COLUMN analytics.live_jobs.retries IS 'How many of its retries are spent.';
COMMENT ON COLUMN analytics.live_jobs.max_retries IS 'How many it has.';
COMMENT ON COLUMN analytics.live_jobs.scheduled_at IS 'When it is to start at the earliest; NULL: at once.';
COMMENT ON COLUMN analytics.live_jobs.due_at IS 'When a scheduled or retrying job becomes queued; NULL for all others.';
COMMENT ON COLUMN analytics.live_jobs.started_at IS 'When its first attempt started; NULL if none did.';
COMMENT ON COLUMN analytics.live_jobs.attempt_started_at IS 'When the attempt that runs now started.';
COMMENT ON COLUMN analytics.live_jobs.worker IS 'Name of the worker process that runs it.';

CREATE VIEW analytics.oldest_waiting WITH (security_invoker = true) AS
SELECT
    queue, type, count(*) AS jobs,
    min(greatest(created_at, scheduled_at)) AS waiting_since,
    extract(epoch FROM now() - min(greatest(created_at, scheduled_at)))::double precision AS wait_seconds,
    (array_agg(id ORDER BY greatest(created_at, scheduled_at), id))[1] AS job_id
FROM callboard.jobs
WHERE status = 'queued' AND due_at IS NULL
GROUP BY queue, type;
COMMENT ON VIEW analytics.oldest_waiting IS 'What is due and has not started, by queue and type, with the job that has waited longest.';
COMMENT ON COLUMN analytics.oldest_waiting.queue IS 'Queue.';
COMMENT ON COLUMN analytics.oldest_waiting.type IS 'Job type.';
COMMENT ON COLUMN analytics.oldest_waiting.jobs IS 'Jobs that wait.';
COMMENT ON COLUMN analytics.oldest_waiting.waiting_since IS 'Since when the oldest of them has been due.';
COMMENT ON COLUMN analytics.oldest_waiting.wait_seconds IS 'How long that is, in seconds.';
COMMENT ON COLUMN analytics.oldest_waiting.job_id IS 'Id of that job.';
