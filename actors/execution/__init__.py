"""One attempt of one job: claim, handler, outcome, record; and its interruption."""
