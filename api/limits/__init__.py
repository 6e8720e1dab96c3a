"""Limits: a caller's live jobs and submissions per second, the process's uploads."""
