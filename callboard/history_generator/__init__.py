"""Generates a history like that of a real installation: to try queries, and for tests."""

from callboard.history_generator.generate import Progress, generate_history

__all__ = ["Progress", "generate_history"]
