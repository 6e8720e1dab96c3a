-- take_tokens (db/dispatching/rate_limits.py)
--
-- Take least to most tokens from a bucket, or none if it has fewer than least.
--
-- A bucket that has never been used is full. The bucket is locked until the end of the transaction, which should be
-- soon.
--
-- Called by: actors/dispatch, api/limits.

-- Case: the first time.

-- Statement 1.
--   $1  capacity    double precision
--   $2  greatest_1  integer            0
--   $3  per_second  numeric
--   $4  name        character varying
SELECT
    least(
        $1,
        callboard.rate_limits.tokens + greatest(
            $2::INTEGER, EXTRACT(epoch FROM clock_timestamp() - callboard.rate_limits.refilled_at)
        ) * $3
    ) AS available,
    clock_timestamp() AS now
FROM callboard.rate_limits
WHERE callboard.rate_limits.name = $4::VARCHAR
FOR UPDATE;

-- Statement 2.
--   $1  name      character varying
--   $2  capacity  double precision
INSERT INTO callboard.rate_limits (name, tokens, refilled_at)
VALUES ($1::VARCHAR, $2, clock_timestamp())
ON CONFLICT DO NOTHING;

-- As before: statement 1.

-- Statement 3.
--   $1  left    double precision
--   $2  at      timestamp with time zone
--   $3  bucket  character varying
UPDATE callboard.rate_limits
SET tokens=$1, refilled_at=$2::TIMESTAMP WITH TIME ZONE
WHERE callboard.rate_limits.name = $3::VARCHAR;

-- Case: later.

-- As before: statement 1.

-- As before: statement 3.
