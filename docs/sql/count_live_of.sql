-- count_live_of (db/reads/jobs.py)
--
-- Return the number of live jobs of owner, or most if there are more: it counts no further.
--
-- Called by: api/limits.

-- Statement 1.
--   $1  owner_1  character varying  'owner'
--   $2  param_1  integer            1000
SELECT count(*) AS count_1
FROM (SELECT callboard.jobs.id AS id FROM callboard.jobs WHERE callboard.jobs.owner = $1::VARCHAR LIMIT $2::INTEGER)
    AS anon_1;
