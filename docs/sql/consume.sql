-- consume (db/transitions/erasing.py)
--
-- Erase payload and result of a finished job whose result has been fetched; lists and polls still show the job.
--
-- Returns False when the job is live, unknown, or has been erased already.
--
-- From: terminal. To: the same, without its contents.
--
-- Called by: api/jobs.

-- Statement 1.
--   $1  revision_1       integer                   1
--   $2  this_id          uuid
--   $3  this_created_at  timestamp with time zone
UPDATE callboard.job_history
SET payload=NULL, revision=(callboard.job_history.revision + $1::INTEGER), result=NULL, erased_at=now()
WHERE callboard.job_history.id = $2::UUID
    AND callboard.job_history.created_at = $3::TIMESTAMP WITH TIME ZONE
    AND callboard.job_history.deleted IS false
    AND callboard.job_history.erased_at IS NULL
RETURNING callboard.job_history.id;
