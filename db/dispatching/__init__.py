"""What the dispatcher reads: due jobs, queues, rate limits."""
