"""Defaults and bounds of a job type's options. Times are in seconds."""

from __future__ import annotations

from typing import Final, Literal

DEFAULT_QUEUE: Final = "default"
DEFAULT_PRIORITY: Final = 5
DEFAULT_MAX_RETRIES: Final = 3
DEFAULT_TIME_LIMIT: Final = 600.0
DEFAULT_MIN_BACKOFF: Final = 15.0
DEFAULT_MAX_BACKOFF: Final = 7 * 86_400.0
LONGEST_TIME_LIMIT: Final = 7 * 86_400.0
MOST_RETRIES: Final = 100
LEAST_MEMORY_LIMIT: Final = 64 * 2**20

Isolation = Literal["thread", "process"]
