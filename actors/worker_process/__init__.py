"""A worker process: Dramatiq middleware that runs jobs, its heartbeat, and whether it is healthy."""
