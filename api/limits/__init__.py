"""Limits of a caller: live jobs, submissions per second, sizes."""
