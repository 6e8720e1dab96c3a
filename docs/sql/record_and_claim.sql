-- record_and_claim (db/transitions/recording.py)
--
-- record and claim in one round trip; one more for each of retry_later and release.
--
-- On an autocommit connection the finished and the started attempts are one durable transaction; the jobs that wait
-- again are written before, in transactions of their own.
--
-- Called by: actors/execution.
--
-- Some of it is also sent by: claim, finish, record.

-- Case: an attempt ends, another starts; in one round trip.

-- As before: statement 1 of finish.sql.

-- As before: statement 1 of claim.sql.
