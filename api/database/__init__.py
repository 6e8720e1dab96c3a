"""The database as requests use it: batched reads and writes, bounded waits."""
