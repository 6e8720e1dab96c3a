-- record_and_claim (db/transitions/recording.py)
--
-- record and claim: one round trip, unless an attempt has to be repeated.
--
-- On an autocommit connection what ends and what starts is one durable transaction, but for jobs that wait again.
--
-- Called by: actors/execution.
--
-- Some of it is also sent by: claim, finish, record.

-- Case: an attempt ends, another starts; in one round trip.

-- As before: statement 1 of finish.sql.

-- As before: statement 1 of claim.sql.
