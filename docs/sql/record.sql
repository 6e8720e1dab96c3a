-- record (db/transitions/recording.py)
--
-- Apply each ending with the verb for its outcome; return the attempts that were ended, as finish.
--
-- A job that would wait for another attempt is cancelled instead if its cancel was requested.
--
-- Called by: actors/maintenance, actors/worker_process.
--
-- Some of it is also sent by: finish, retry_later, release, record_and_claim.

-- Case: succeeded, failed or cancelled.

-- As before: statement 1 of finish.sql.

-- Case: retrying.

-- As before: statement 1 of retry_later.sql.

-- Case: released.

-- As before: statement 1 of release.sql.

-- Case: to be retried or released, but its job is to be cancelled.

-- As before: statement 1 of retry_later.sql.

-- As before: statement 1 of finish.sql.
