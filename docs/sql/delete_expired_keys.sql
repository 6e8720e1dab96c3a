-- delete_expired_keys (db/fleet/expired_rows.py)
--
-- Delete idempotency keys past their time, some thousands at most; return how many.
--
-- Called by: actors/maintenance.

-- Statement 1.
--   $1  param_1  integer  5000
DELETE FROM callboard.idempotency_keys
USING (
    SELECT callboard.idempotency_keys.owner AS owner, callboard.idempotency_keys.key AS key
    FROM callboard.idempotency_keys
    WHERE callboard.idempotency_keys.expires_at < now()
    LIMIT $1::INTEGER
    FOR UPDATE SKIP LOCKED
) AS anon_1
WHERE callboard.idempotency_keys.owner = anon_1.owner AND callboard.idempotency_keys.key = anon_1.key;
