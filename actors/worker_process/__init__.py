"""A worker process: the Dramatiq middleware that runs jobs, its heartbeat and its health checks."""
