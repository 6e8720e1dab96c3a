-- A table of live jobs and a history of four months, large enough that a plan without an index would show.
CREATE FUNCTION pg_temp.id_at(moment timestamptz, number bigint) RETURNS uuid LANGUAGE sql AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(number), 19, '0'))::uuid
$$;

INSERT INTO callboard.queues (name) SELECT 'queue-' || n FROM generate_series(0, 4) AS n;

INSERT INTO callboard.workers (id, name, host, pid, version, queues, threads, state, started_at, last_seen_at)
SELECT pg_temp.id_at(now(), n), 'worker-' || n, 'host', n, '0', '{}', 8, CASE WHEN n = 0 THEN 'lost' ELSE 'running' END,
       now(), now()
FROM generate_series(0, 3) AS n;

INSERT INTO callboard.jobs (
    id, created_at, type, queue, status, priority, owner, payload, attempt, max_retries, time_limit, expires_at,
    started_at, attempt_started_at, worker_id, worker, unique_key, due_at, dispatched_at
)
SELECT
    pg_temp.id_at(at, n), at, 'test.job', 'queue-' || n % 5,
    CASE WHEN runs THEN 'running' WHEN waits THEN 'scheduled' ELSE 'queued' END,
    n % 10, 'owner-' || n % 100, '{}', runs::int, 3, 60,
    CASE WHEN n % 50 = 7 THEN at + interval '1 day' END,
    CASE WHEN runs THEN at END, CASE WHEN runs THEN at END,
    CASE WHEN runs THEN pg_temp.id_at(now(), n / 100 % 4) END, CASE WHEN runs THEN 'worker' END,
    CASE WHEN n % 3 = 0 THEN 'key-' || n END,
    CASE WHEN waits THEN at + n * interval '1 s' END,
    CASE WHEN runs OR sent THEN at END
FROM generate_series(1, 20000) AS n,
     LATERAL (SELECT date_trunc('milliseconds', now() - interval '1 h') + n * interval '1 ms' AS at,
                     n % 100 = 1 AS runs, n % 100 = 2 AS sent, n % 10 = 3 AS waits) AS kind;

INSERT INTO callboard.job_history (
    id, created_at, type, queue, status, priority, owner, payload, attempt, max_retries, time_limit, started_at,
    attempt_started_at, worker_id, worker, finished_at, result
)
SELECT
    pg_temp.id_at(at, n), at, 'test.job', 'queue-' || n % 5, CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'succeeded' END,
    5, 'owner-' || n % 100, '{}', 1, 3, 60, at, at, pg_temp.id_at(now(), 1), 'worker', at,
    CASE WHEN n % 100 <> 0 THEN '1'::jsonb END
FROM generate_series(1, 20000) AS n,
     LATERAL (SELECT date_trunc('milliseconds', now()) + n % 4 * interval '1 month' AS at) AS months;

INSERT INTO callboard.job_attempts (job_id, created_at, attempt, outcome, worker_id, worker, started_at, finished_at)
SELECT id, created_at, 1, status, worker_id, worker, started_at, finished_at FROM callboard.job_history;

ANALYZE callboard.jobs, callboard.job_history, callboard.job_attempts, callboard.workers, callboard.queues;
