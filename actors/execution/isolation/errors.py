"""Errors of attempts that end with the handler's process."""

from __future__ import annotations


class HandlerProcessDied(Exception):
    """The handler's process ended, or could not be started."""


class MemoryLimitExceeded(Exception):
    """The handler's process had more memory than its job type allows, and was killed."""
