CREATE OR REPLACE FUNCTION callboard.histogram_quantiles(histogram numeric, fractions double precision[])
RETURNS double precision[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    -- A lane is worth b = 10^12. As b/(b - 1) = 1 + 1/b + 1/b^2 + ..., this leaves in each lane how many durations are
    -- in it and above, in one division: the sums of all lanes, ascending from the left.
    digits text := div(histogram * 1000000000000, 999999999999)::text;
    total bigint := right(digits, 12);
    highest integer := (length(digits) - 1) / 12;
    -- A part of a text is found by counting its characters, one of bytes at once.
    lanes bytea := convert_to(lpad(digits, (highest + 1) * 12, '0'), 'SQL_ASCII');
    fraction double precision;
    longer bytea;
    low integer;
    high integer;
    middle integer;
    found double precision[] := '{}';
BEGIN
    FOREACH fraction IN ARRAY fractions LOOP
        -- So many are longer than the one that is looked for; digits of one width sort as numbers do.
        longer := convert_to(lpad((total - greatest(1, ceil(fraction * total)))::bigint::text, 12, '0'), 'SQL_ASCII');
        low := 0;
        high := highest + 1;
        WHILE low < high LOOP
            middle := (low + high) / 2;
            IF substring(lanes, middle * 12 + 1, 12) > longer THEN
                high := middle;
            ELSE
                low := middle + 1;
            END IF;
        END LOOP;
        found := found || CASE highest - low
            WHEN 0 THEN 0.0005 ELSE 0.000975 * (1.025::float8 / 0.975) ^ (highest - low)
        END;
    END LOOP;
    RETURN found;
END
$$;

-- The rows are written anew, some thousands a second: summaries and rollups wait for that, jobs do not.
-- PLAIN: neither compressed nor put elsewhere, as toast_tuple_target would have it.
ALTER TABLE callboard.history_rollup
    -- squawk-ignore adding-field-with-default
    ADD COLUMN wait_quantiles double precision[] GENERATED ALWAYS AS (
        callboard.histogram_quantiles(wait_histogram, '{0.5,0.95,0.99}'::double precision[])
    ) STORED,
    -- squawk-ignore adding-field-with-default
    ADD COLUMN run_quantiles double precision[] GENERATED ALWAYS AS (
        callboard.histogram_quantiles(run_histogram, '{0.5,0.95,0.99}'::double precision[])
    ) STORED,
    ALTER COLUMN wait_quantiles SET STORAGE PLAIN,
    ALTER COLUMN run_quantiles SET STORAGE PLAIN;
COMMENT ON COLUMN callboard.history_rollup.wait_quantiles IS 'Their p50, p95 and p99, in seconds.';
COMMENT ON COLUMN callboard.history_rollup.run_quantiles IS 'Their p50, p95 and p99, in seconds.';
