"""The history: rollups, retention, failures, analysts' queries."""
