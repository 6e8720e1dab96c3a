"""Writes of a running attempt: progress, checkpoints and steps."""
