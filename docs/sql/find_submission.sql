-- find_submission (db/transitions/idempotency.py)
--
-- Return the result of submit for a request whose key has been used; None if it has not.
--
-- Called by: api/jobs.
--
-- Some of it is also sent by: submit.

-- As before: statement 5 of submit.sql.
