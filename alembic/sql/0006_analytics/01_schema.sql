COMMENT ON SCHEMA analytics IS 'Questions to the history of jobs. Names and columns of its views stay; new ones are added.';

CREATE TABLE analytics.sla (
    type          text     NOT NULL CONSTRAINT sla_pkey PRIMARY KEY,
    longest_wait  interval NOT NULL CONSTRAINT sla_longest_wait_check CHECK (longest_wait > interval '0')
);
COMMENT ON TABLE analytics.sla IS 'How long jobs of a type may wait; the view sla_breaches compares with it. Operators write it.';
COMMENT ON COLUMN analytics.sla.type IS 'Job type; * stands for all types that have no row of their own.';
COMMENT ON COLUMN analytics.sla.longest_wait IS 'Longest wait from when a job was due to its first start.';

-- Declared immutable, which it is: the epoch of an instant depends on no time zone.
CREATE FUNCTION analytics.first_id(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN rpad(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0'), 32, '0')::uuid;
COMMENT ON FUNCTION analytics.first_id IS 'The least id of jobs created at that instant or later: ids ascend with created_at.';

-- With the rights of its owner: when the oldest job was made is no secret, and found through the primary key.
CREATE VIEW analytics.hours AS
SELECT hour, hour + interval '1 hour' AS next_hour
FROM generate_series(
    date_trunc('hour', (SELECT created_at FROM callboard.job_history ORDER BY id LIMIT 1), 'UTC'),
    now(), interval '1 hour'
) AS hour;
COMMENT ON VIEW analytics.hours IS 'Every hour (UTC) since the oldest job that is kept.';
COMMENT ON COLUMN analytics.hours.hour IS 'Its beginning.';
COMMENT ON COLUMN analytics.hours.next_hour IS 'Its end, which is no longer part of it.';

CREATE VIEW analytics.days AS
SELECT day, day + interval '24 hours' AS next_day
FROM generate_series(
    date_trunc('day', (SELECT created_at FROM callboard.job_history ORDER BY id LIMIT 1), 'UTC'),
    now(), interval '24 hours'
) AS day;
COMMENT ON VIEW analytics.days IS 'Every day (UTC) since the oldest job that is kept.';
COMMENT ON COLUMN analytics.days.day IS 'Its beginning.';
COMMENT ON COLUMN analytics.days.next_day IS 'Its end, which is no longer part of it.';
