"""Queries of the dispatcher: due jobs, queues, rate limits."""
