-- read_in_order (db/reads/indexed.py)
--
-- Have the planner read jobs in the order of an index, in the rest of this transaction.
--
-- What it knows of values is older than the newest rows, and it takes the time of a job and its id for independent.
-- Where it therefore expects few rows, it finds all of them by any index and sorts them.
--
-- Called by: db/reads.
--
-- Some of it is also sent by: list_jobs, count_jobs, export_piece.

-- Statement 1.
--   $1  set_config_2  character varying  'enable_sort'
--   $2  set_config_3  character varying  'off'
--   $3  param_1       boolean            true
--   $4  set_config_5  character varying  'enable_incremental_sort'
--   $5  set_config_6  character varying  'off'
--   $6  param_2       boolean            true
SELECT
    set_config($1::VARCHAR, $2::VARCHAR, $3) AS set_config_1, set_config($4::VARCHAR, $5::VARCHAR, $6) AS set_config_4;
