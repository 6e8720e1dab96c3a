"""The dispatcher: publishes due jobs in priority order, within a window per queue."""
