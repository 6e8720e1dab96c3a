-- delete_full_buckets (db/dispatching/rate_limits.py)
--
-- Delete up to 5000 buckets that have not been used for a day; return how many.
--
-- Called by: actors/maintenance.

-- Statement 1.
--   $1  make_interval_1  integer  0
--   $2  make_interval_2  integer  0
--   $3  make_interval_3  integer  0
--   $4  make_interval_4  integer  0
--   $5  make_interval_5  integer  0
--   $6  make_interval_6  integer  0
--   $7  param_1          integer  86400
--   $8  param_2          integer  5000
WITH idle AS (
    SELECT callboard.rate_limits.name AS name
    FROM callboard.rate_limits
    WHERE callboard.rate_limits.refilled_at < now() - make_interval(
        $1::INTEGER, $2::INTEGER, $3::INTEGER, $4::INTEGER, $5::INTEGER, $6::INTEGER, $7::INTEGER
    )
    LIMIT $8::INTEGER
    FOR UPDATE SKIP LOCKED
)

DELETE FROM callboard.rate_limits
USING idle
WHERE callboard.rate_limits.name = idle.name;
