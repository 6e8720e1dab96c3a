"""Access to the database for requests: batched reads and writes, each with a timeout."""
