-- delete_expired_keys (db/fleet/expired_rows.py)
--
-- Delete up to 5000 expired idempotency keys; return how many.
--
-- Called by: actors/maintenance.

-- Statement 1.
--   $1  param_1  integer  5000
WITH expired AS (
    SELECT callboard.idempotency_keys.owner AS owner, callboard.idempotency_keys.key AS key
    FROM callboard.idempotency_keys
    WHERE callboard.idempotency_keys.expires_at < now()
    LIMIT $1::INTEGER
    FOR UPDATE SKIP LOCKED
)

DELETE FROM callboard.idempotency_keys
USING expired
WHERE callboard.idempotency_keys.owner = expired.owner AND callboard.idempotency_keys.key = expired.key;
