"""``/v1/history``: summaries, failures, exports."""
