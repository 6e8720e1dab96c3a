"""Worker processes, gauges, and rows that expire."""
